"""Options of a model class, and what is known about its fields."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from faust._values.modelproto import CodecArg
from faust.exceptions import ImproperlyConfigured

__all__ = ["CLASS_OPTIONS", "ModelOptions", "own_keywords"]

CoercionHandler = Callable[[Any], Any]

#: Keywords of ``class M(faust.Record, ...)`` and names in an inner ``class Options``.
CLASS_OPTIONS = (
    "serializer",
    "namespace",
    "include_metadata",
    "isodates",
    "abstract",
    "allow_blessed_key",
    "decimals",
    "coerce",
    "coercions",
    "polymorphic_fields",
    "validation",
    "date_parser",
    "lazy_creation",
)

#: What a class does not have from its base: they say something about that one class.
_NOT_INHERITED = frozenset({"namespace", "abstract", "lazy_creation"})


@dataclass(eq=False)
class ModelOptions:
    """What ``Model._options`` says.

    Attributes:
        serializer: Codec that instances are always written and read with.
        namespace: The name that goes into ``__faust``; ``module.qualname`` if not given.
        include_metadata: Whether ``__faust`` is written at all.
        isodates, decimals: Accepted for compatibility; dates and decimals are always read.
        abstract: The class cannot be instantiated, and is read as what ``__faust`` names.
        allow_blessed_key: The class may be read as the subclass that ``__faust`` names.
        polymorphic_fields: Fields of model types may be read as the subclass that ``__faust``
            names.
        coerce: Convert what is assigned to the field's type.
        coercions: Functions that make instances of types that are not known here.
        validation: Check every instance when it is made; implies ``coerce``.
        date_parser: Function from text to ``datetime``.
        lazy_creation: Wait with compiling the class until ``make_final()`` or the first use.
        fields: Types by field name.
        descriptors: Descriptors by field name.
        fieldpos: Field name by position in the constructor.
        fieldset, optionalset: Names of all fields; of those that may be left out.
        defaults: Defaults by field name.
        converters: What converts a constructor's arguments, by field name, where something does.
        renamed: Whether any field is left out or renamed when it is written.
        native: Whether the C decoder makes instances; ``None`` until somebody has asked.
        tagged_fields, secret_fields, sensitive_fields, personal_fields: Names by tag.
    """

    serializer: CodecArg = None
    namespace: str = ""
    include_metadata: bool = True
    isodates: bool = False
    abstract: bool = False
    allow_blessed_key: bool = False
    decimals: bool = False
    coerce: bool = False
    coercions: Mapping[Any, CoercionHandler] = field(default_factory=dict)
    polymorphic_fields: bool = False
    validation: bool = False
    date_parser: Callable[[Any], datetime] | None = None
    lazy_creation: bool = False

    fields: dict[str, Any] = field(default_factory=dict)
    descriptors: dict[str, Any] = field(default_factory=dict)
    fieldpos: dict[int, str] = field(default_factory=dict)
    fieldset: frozenset[str] = frozenset()
    optionalset: frozenset[str] = frozenset()
    defaults: dict[str, Any] = field(default_factory=dict)
    converters: dict[str, CoercionHandler] = field(default_factory=dict)
    renamed: bool = False
    native: bool | None = None
    tagged_fields: frozenset[str] = frozenset()
    secret_fields: frozenset[str] = frozenset()
    sensitive_fields: frozenset[str] = frozenset()
    personal_fields: frozenset[str] = frozenset()

    @property
    def has_tagged_fields(self) -> bool:
        """Whether any field is tagged."""
        return bool(self.tagged_fields)

    @property
    def has_secret_fields(self) -> bool:
        """Whether any field is secret."""
        return bool(self.secret_fields)

    @property
    def has_sensitive_fields(self) -> bool:
        """Whether any field is sensitive."""
        return bool(self.sensitive_fields)

    @property
    def has_personal_fields(self) -> bool:
        """Whether any field is personal."""
        return bool(self.personal_fields)

    @classmethod
    def derived(
        cls, name: str, base: ModelOptions | None, given: Mapping[str, Any]
    ) -> ModelOptions:
        """Return the options of a class from those of its base and those given.

        Raises:
            ImproperlyConfigured: An option that does not exist; the message says which do.
        """
        for option in given:
            if option not in CLASS_OPTIONS:
                raise ImproperlyConfigured(_unknown_option(name, option))
        inherited = {
            option: getattr(base, option)
            for option in CLASS_OPTIONS
            if base is not None and option not in _NOT_INHERITED
        }
        chosen = {**inherited, **{k: v for k, v in given.items() if v is not None}}
        if base is not None and given.get("coercions"):
            chosen["coercions"] = {**base.coercions, **given["coercions"]}
        options = cls(**chosen)
        options.coerce = options.coerce or options.validation
        return options


def own_keywords(bases: tuple[type, ...], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of a class's keywords that an ``__init_subclass__`` of its bases names."""
    unknown = [keyword for keyword in given if keyword not in CLASS_OPTIONS]
    if not unknown:
        return {}
    named = {
        parameter
        for base in bases
        for ancestor in base.__mro__
        if "__init_subclass__" in vars(ancestor) and ancestor is not object
        for parameter in inspect.signature(vars(ancestor)["__init_subclass__"].__func__).parameters
    }
    return {keyword: given[keyword] for keyword in unknown if keyword in named}


def _unknown_option(name: str, option: str) -> str:
    close = difflib.get_close_matches(option, CLASS_OPTIONS, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else f" (there are: {', '.join(CLASS_OPTIONS)})"
    return f"class {name}: models have no option {option!r}{hint}"
