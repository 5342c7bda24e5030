"""What all models have: reading, writing, checking, copying."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Self

import msgspec
from msgspec import structs

from faust._values.modelproto import METADATA_KEY, CodecArg, maybe_model, registry
from faust.exceptions import ValidationError
from faust.models import wire
from faust.models.meta import ModelMeta, complete
from faust.models.options import ModelOptions
from faust.serializers.codecs import dumps, loads
from faust.utils.json import plain

__all__ = ["Model", "maybe_model", "registry"]


class Model(msgspec.Struct, metaclass=ModelMeta, order=True, dict=True, weakref=True):
    """Base of models; see `Record`."""

    __is_model__: ClassVar[bool] = True

    if TYPE_CHECKING:
        # The class options, for type checkers; the metaclass takes them.
        def __init_subclass__(
            cls,
            *,
            serializer: CodecArg = None,
            namespace: str | None = None,
            include_metadata: bool | None = None,
            isodates: bool | None = None,
            abstract: bool | None = None,
            allow_blessed_key: bool | None = None,
            decimals: bool | None = None,
            coerce: bool | None = None,
            coercions: Mapping[Any, Callable[[Any], Any]] | None = None,
            polymorphic_fields: bool | None = None,
            validation: bool | None = None,
            date_parser: Callable[[Any], datetime] | None = None,
            lazy_creation: bool | None = None,
        ) -> None: ...

    _options: ClassVar[ModelOptions] = ModelOptions(abstract=True)
    _pending: ClassVar[Any] = None

    # -- from bytes and data ----------------------------------------------------------

    @classmethod
    def loads(
        cls, s: bytes, *, default_serializer: CodecArg = None, serializer: CodecArg = None
    ) -> Self:
        """Decode an instance.

        The codec is the class's own ``serializer`` option, else ``serializer``, else
        ``default_serializer``, else JSON.

        Raises:
            ValidationError: A field is missing or not of its type.
            ValueError: The bytes are not what the codec reads.
        """
        codec = cls._options.serializer or serializer or default_serializer or "json"
        if codec == "json":
            try:
                return _loader(cls)(s)  # type: ignore[no-any-return]
            except msgspec.ValidationError:
                pass  # what follows explains it, or forgives a null
        return cls.from_data(loads(codec, s), preferred_type=cls)

    @classmethod
    def from_data(cls, data: Any, *, preferred_type: Any = None) -> Self:
        """Make an instance from a mapping that a codec decoded; an instance is returned as it is.

        Keys that are no fields are ignored; the mapping is not changed.

        Raises:
            ValidationError: A field is missing or not of its type.
            TypeError: ``data`` is no mapping, or names a class that may not be in this place.
        """
        if isinstance(data, Model):
            return data  # type: ignore[return-value]  # as it is, whatever model it is
        return wire.from_mapping(cls, Model, data)  # type: ignore[no-any-return]

    # -- to data and bytes --------------------------------------------------------------

    def dumps(self, *, serializer: CodecArg = None) -> bytes:
        """Encode with ``serializer``, else the class's own, else JSON."""
        codec = serializer or self._options.serializer or "json"
        if codec == "json":
            return type(self).__model_dumper__()(self)
        return dumps(codec, plain(self))

    def asdict(self) -> dict[str, Any]:
        """Return the fields by their serialized names, nested models as they are."""
        options = self._options
        if not options.renamed:
            return self._prepare_dict(structs.asdict(self))
        return self._prepare_dict(
            {
                d.output_name: getattr(self, name)
                for name, d in options.descriptors.items()
                if not d.exclude
            }
        )

    def _prepare_dict(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Change what `asdict` returns; override this."""
        return payload

    def to_representation(self) -> Any:
        """Return what is serialized: the fields, and ``__faust`` naming the class."""
        payload = self.asdict()
        if self._options.include_metadata:
            payload[METADATA_KEY] = {"ns": self._options.namespace}
        return payload

    def __json__(self) -> Any:
        return self.to_representation()

    # -- copying and checking -----------------------------------------------------------

    def derive(self, *objects: Model, **fields: Any) -> Self:
        """Return a copy with the fields of other instances, then with these fields."""
        values = structs.asdict(self)
        for obj in objects:
            values.update(structs.asdict(obj))
        return type(self)(**{**values, **fields})

    def validate(self) -> list[ValidationError]:
        """Return everything that is wrong with the fields."""
        complete(type(self))
        return [
            error
            for name, descriptor in self._options.descriptors.items()
            for error in descriptor.validate_all(getattr(self, name))
        ]

    def is_valid(self) -> bool:
        """Tell whether nothing is wrong with the fields."""
        return not self.validate()

    def validate_or_raise(self) -> None:
        """Raise the first thing that is wrong with the fields.

        Raises:
            ValidationError: The first one.
        """
        for error in self.validate():
            raise error

    @property
    def validation_errors(self) -> list[ValidationError]:
        """Everything that is wrong with the fields."""
        return self.validate()

    @classmethod
    def make_final(cls) -> None:
        """Read the annotations now, where that has not been done yet.

        Raises:
            ImproperlyConfigured: A field of a type that cannot be handled.
        """
        complete(cls)

    # -- what serializers and other models ask --------------------------------------------

    @classmethod
    def __model_serializer__(cls) -> CodecArg:
        return cls._options.serializer

    @classmethod
    def __model_dispatches__(cls) -> bool:
        """Tell whether reading this class may give the subclass that ``__faust`` names."""
        o = cls._options
        return o.abstract or o.allow_blessed_key or o.polymorphic_fields

    @classmethod
    def __model_native__(cls) -> bool:
        return wire.is_native(cls, Model)

    @classmethod
    def __model_loader__(cls) -> Callable[[Any], Any]:
        return _loader(cls)

    @classmethod
    def __model_dumper__(cls) -> Callable[[Any], bytes]:
        return _dumper(cls)

    @classmethod
    def __model_key_dumper__(cls) -> Callable[[Any], bytes]:
        return _key_dumper(cls)

    @classmethod
    def __json_form__(cls) -> Callable[[Any], Any]:
        return wire.form(cls, Model)

    # -- the ordinary methods -------------------------------------------------------------

    def __hash__(self) -> int:
        return hash(structs.astuple(self))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__)
        return f"<{type(self).__name__}: {shown}>"


@cache
def _loader(cls: Any) -> Callable[[Any], Any]:
    return wire.loader(cls, Model)


@cache
def _dumper(cls: Any) -> Callable[[Any], bytes]:
    return wire.dumper(cls, Model)


@cache
def _key_dumper(cls: Any) -> Callable[[Any], bytes]:
    return wire.key_dumper(cls, Model)
