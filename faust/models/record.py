"""Records: models with named fields, as the values and keys of messages."""

from __future__ import annotations

from faust.models.base import Model

__all__ = ["Record"]


class Record(Model, abstract=True):
    """Describes messages as classes with typed fields.

    ::

        class Order(faust.Record):
            account: str
            amount: float
            items: int = 1

        order = Order(account="a", amount=3.5)
        data = order.dumps()
        assert Order.loads(data) == order

    Fields may have any type that JSON can be read as; a type that cannot be handled is an error
    when the class is made.  Class options are keywords: ``class Order(faust.Record,
    serializer="json", coerce=True)``; `faust.models.options.ModelOptions` says what they mean.

    Decoding checks types: a message whose ``amount`` is text is no ``Order`` (``coerce=True``
    converts it).  Making an instance does not, unless ``validation=True``.
    """
