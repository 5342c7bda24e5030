"""Definitions of settings: `setting` makes one, a `Section` collects them.

A definition is everything there is to know about a setting: its kind (type and conversion), its
default, environment variables, command-line option and text.  Help texts and documents are made
from it.

How a value is read.  Plain settings are converted when they are given and stored as ordinary
attributes of the `Settings` object: the definition is taken off the class, so that reading
``conf.topic_partitions`` is what reading any attribute is.  *Lazy* settings (URLs, classes, and
what is computed from other settings) stay on the class as descriptors without a ``__set__``: the
first read works the value out and puts it among the object's attributes, where the next read finds
it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast, overload

from faust.exceptions import ImproperlyConfigured

__all__ = [
    "Alias",
    "Computed",
    "Kind",
    "Section",
    "Setting",
    "alias",
    "computed",
    "prefixed",
    "setting",
]

In = TypeVar("In")
Out = TypeVar("Out")


class Kind(Generic[In, Out]):
    """What a setting may be: how what is given becomes what is read.

    Attributes:
        expects: What is wanted, to continue the sentence "it must be …".
        annotation: The type of what is given, as code, for type checkers.
        lazy: Whether `finish` does something, which waits for the first read.
        tells: Whether the messages of `convert` say more than `expects` does.
        secret: Whether values must not be shown in messages.
        empty_text_counts: Whether an environment variable that is empty is a value.
    """

    expects: str = "a value"
    annotation: str = "Any"
    tells: ClassVar[bool] = False
    secret: ClassVar[bool] = False
    empty_text_counts: ClassVar[bool] = False
    lazy: ClassVar[bool] = False

    def convert(self, value: Any) -> Any:
        """Check ``value`` and return the form to keep.

        Raises:
            ValueError, TypeError: it cannot be that; the message is a hint, or empty.
        """
        return value

    def finish(self, conf: Any, value: Any) -> Any:
        """Make what is read out of what is kept; only called for lazy kinds."""
        return value


class Computed(Generic[In]):
    """A default that is worked out from other settings when it is read.

    Attributes:
        function: Takes the settings.
        text: What it gives, for documents.
    """

    def __init__(self, function: Callable[[Any], In], text: str) -> None:
        self.function = function
        self.text = text


def computed(function: Callable[[Any], In], text: str) -> Computed[In]:
    """Return a default that ``function`` works out of the settings; ``text`` says what it gives."""
    return Computed(function, text)


class Setting(Generic[In, Out]):
    """The definition of one setting.

    Attributes:
        name: As in ``conf.name`` and ``App(name=…)``.
        section: Title of the section it belongs to.
        kind: Type and conversion.
        default: What it is if not given: a value, or `Computed`.
        env: Environment variables; the first that is set wins, and ``env_prefix`` applies.
        process_env: Further environment variables, without any prefix.
        option: The command-line option that sets it.
        aliases: Other names of the same setting, made by `alias`.
        renamed_from: Names that it had; they work, with a warning.
        in_milliseconds: A name that it had in milliseconds (it is in seconds now), also as a
            variable of the environment, in capitals.
        since: The version that brought it.
        text: What it does.
    """

    def __init__(
        self,
        kind: Kind[In, Out],
        *,
        default: Any,
        text: str,
        env: str = "",
        process_env: tuple[str, ...] = (),
        option: str = "",
        renamed_from: tuple[str, ...] = (),
        in_milliseconds: str = "",
        since: str = "1.0",
        finish: Callable[[Any, Any], Any] | None = None,
    ) -> None:
        self.name = ""
        self.section = ""
        self.kind = kind
        self.default = default
        self.text = " ".join(text.split())
        self.env = env
        self.process_env = process_env
        self.option = option
        self.aliases: tuple[str, ...] = ()
        self.renamed_from = renamed_from
        self.in_milliseconds = in_milliseconds
        self.since = since
        self._finish = finish
        #: The default in the form that is kept, unless it is computed.
        self.kept_default = None if isinstance(default, Computed) else self._keep(default)

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<Setting: {self.name} ({self.section})>"

    @overload
    def __get__(self, conf: None, owner: type) -> Setting[In, Out]: ...
    @overload
    def __get__(self, conf: object, owner: type) -> Out: ...
    def __get__(self, conf: object | None, owner: type) -> Any:
        """First read of a lazy setting: work it out, and keep it among the attributes."""
        if conf is None:
            return self
        return conf.__dict__.setdefault(self.name, self.value_for(conf))

    if TYPE_CHECKING:
        # At run time it must not exist: attributes would no longer be found before it.
        def __set__(self, conf: object, value: In) -> None: ...

    @property
    def lazy(self) -> bool:
        """Whether the value is worked out at the first read."""
        return self.kind.lazy or self._finish is not None or isinstance(self.default, Computed)

    @property
    def expects(self) -> str:
        """What may be given, in words."""
        return self.kind.expects

    @property
    def default_text(self) -> str:
        """The default, in words."""
        return self.default.text if isinstance(self.default, Computed) else repr(self.default)

    def env_names(self, prefix: str | None) -> tuple[str, ...]:
        """The environment variables that set it, the winning one first."""
        names = (*prefixed(self.env, prefix), *self.process_env)
        return tuple(dict.fromkeys(names))

    def value_for(self, conf: Any) -> Any:
        """Work out what is read, from what ``conf`` was given or from the default."""
        given: Mapping[str, Any] = conf._given
        if self.name in given:
            value = given[self.name]
        elif isinstance(self.default, Computed):
            value = self._keep(self.default.function(conf))
        else:
            value = self.kept_default
        if value is not None:
            value = self._finish_kind(conf, value)
        return self._finish(conf, value) if self._finish is not None else value

    def _finish_kind(self, conf: Any, value: Any) -> Any:
        try:
            return self.kind.finish(conf, value)
        except ImportError as exc:
            raise ImproperlyConfigured(f"setting {self.name!r} is {value!r}, but {exc}") from exc

    def _keep(self, value: Any) -> Any:
        return None if value is None else self.kind.convert(value)


@overload
def setting(
    kind: Kind[In, Out],
    *,
    default: None,
    text: str,
    env: str = ...,
    process_env: tuple[str, ...] = ...,
    option: str = ...,
    renamed_from: tuple[str, ...] = ...,
    in_milliseconds: str = ...,
    since: str = ...,
    finish: Callable[[Any, Any], Any] | None = ...,
) -> Setting[In | None, Out | None]: ...
@overload
def setting(
    kind: Kind[In, Out],
    *,
    default: In | Computed[In],
    text: str,
    env: str = ...,
    process_env: tuple[str, ...] = ...,
    option: str = ...,
    renamed_from: tuple[str, ...] = ...,
    in_milliseconds: str = ...,
    since: str = ...,
    finish: Callable[[Any, Any], Any] | None = ...,
) -> Setting[In | None, Out]: ...
def setting(kind: Kind[Any, Any], **definition: Any) -> Setting[Any, Any]:
    """Define a setting in a `Section`; see `Setting` for the arguments.

    Giving ``None`` means the default, for every setting.
    """
    return Setting(kind, **definition)


class Alias(Generic[In, Out]):
    """Another name of a setting, to read and to assign."""

    def __init__(self, target: Setting[In, Out]) -> None:
        self.target = target

    def __set_name__(self, owner: type, name: str) -> None:
        self.target.aliases += (name,)

    @overload
    def __get__(self, conf: None, owner: type) -> Setting[In, Out]: ...
    @overload
    def __get__(self, conf: object, owner: type) -> Out: ...
    def __get__(self, conf: object | None, owner: type) -> Any:
        return self.target if conf is None else getattr(conf, self.target.name)

    if TYPE_CHECKING:

        def __set__(self, conf: object, value: In) -> None: ...


def alias(target: Setting[In, Out]) -> Alias[In, Out]:
    """Give a setting another name, in the body of its `Section`."""
    return Alias(target)


class Section:
    """Base of the sections, and of `Settings`: collects the definitions in its class body.

    Attributes:
        SETTINGS: All definitions of a class by name, those of its bases first.
        TITLE: Title of the section.
    """

    SETTINGS: ClassVar[Mapping[str, Setting[Any, Any]]] = {}
    TITLE: ClassVar[str] = "Application"

    def __init_subclass__(cls, *, title: str = "Application", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.TITLE = title
        found: dict[str, Setting[Any, Any]] = {}
        for base in cls.__bases__:
            found |= getattr(base, "SETTINGS", {})
        cls.SETTINGS = found | cls._collect(title)

    @classmethod
    def _collect(cls, title: str) -> dict[str, Setting[Any, Any]]:
        own = {n: cast("Setting[Any, Any]", v) for n, v in vars(cls).items() if _is_setting(v)}
        for name, definition in own.items():
            definition.section = title
            if not definition.lazy:
                delattr(cls, name)
        return own


def prefixed(variable: str, prefix: str | None) -> tuple[str, ...]:
    """Return the names by which a variable goes: without a prefix it has two."""
    if not variable:
        return ()
    if prefix:
        return (f"{prefix.rstrip('_')}_{variable}",)
    return (f"FAUST_{variable}", variable)


def _is_setting(value: object) -> bool:
    return isinstance(value, Setting)
