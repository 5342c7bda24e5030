"""The flat view of all settings that an app reads: ``app.conf``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar
from warnings import warn

from faust.exceptions import AlreadyConfiguredWarning, ImproperlyConfigured
from faust.settings.agents import AgentSettings, RPCSettings
from faust.settings.broker import DEFAULT_BROKER_URL, BrokerSettings
from faust.settings.classes import ClassSettings
from faust.settings.common import CommonSettings
from faust.settings.consumer import ConsumerSettings
from faust.settings.env import PREFIX_VARIABLE, read_env
from faust.settings.params import Setting
from faust.settings.producer import ProducerSettings
from faust.settings.retired import RETIRED
from faust.settings.serialization import SerializationSettings
from faust.settings.sources import (
    ASSIGNMENT,
    COMMAND_LINE,
    DEFAULT,
    KEYWORD,
    Names,
    Source,
    caller_outside,
    open_source,
)
from faust.settings.streams import StreamSettings
from faust.settings.tables import TableSettings
from faust.settings.topics import TopicSettings
from faust.settings.web import WebSettings
from faust.settings.worker import WorkerSettings

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Settings"]


class Settings(
    CommonSettings,
    SerializationSettings,
    TopicSettings,
    BrokerSettings,
    ConsumerSettings,
    ProducerSettings,
    StreamSettings,
    TableSettings,
    AgentSettings,
    RPCSettings,
    WebSettings,
    WorkerSettings,
    ClassSettings,
):
    """All settings of an app, each an attribute.

    Where several places give a setting, the first of these wins: command line, environment, config
    source, keyword, default.  ``None`` means "not given", wherever it stands.  Assigning an
    attribute converts and checks like giving it does, and wins over what was there.

    A subclass adds settings by ``name = setting(kind, default=…, text=…)`` in its body.

    Arguments:
        id: Identity of the app's group; required unless the config source has it.
        env: The environment variables.
        cli: Settings that the command line gave, by name.
        config_source: A mapping, a module, an object, or the dotted path of one of these.
        keywords: Settings by name.

    Attributes:
        env: The environment variables that were read.

    Raises:
        ImproperlyConfigured: a setting is unknown, of the wrong type, or contradicts another.
    """

    #: Where the broker is, if nobody says so.
    DEFAULT_BROKER_URL: ClassVar[str] = DEFAULT_BROKER_URL

    SETTINGS_BY_SECTION: ClassVar[Mapping[str, list[Setting[Any, Any]]]]
    _names: ClassVar[Names]

    env: Mapping[str, str]
    _in_use: bool
    _given: dict[str, Any]
    _sources: dict[str, Source]
    _cli: dict[str, Any]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _index(cls)

    def __init__(
        self,
        id: str | None = None,
        *,
        env: Mapping[str, str] | None = None,
        cli: Mapping[str, Any] | None = None,
        config_source: Any = None,
        **keywords: Any,
    ) -> None:
        state = self.__dict__
        state["env"] = os.environ if env is None else env
        state["_given"], state["_sources"] = {}, {}
        state["_in_use"] = False
        state["_cli"] = self._names.canonical(cli or {})
        self._load({"id": id, **keywords}, config_source)
        self._fill_defaults()
        self.validate()

    # -- loading -------------------------------------------------------------------------------

    def _load(self, keywords: Mapping[str, Any], config_source: Any) -> None:
        """Put the layers over each other, the lowest first."""
        given = self._names.canonical(keywords)
        layers: list[tuple[Source, Mapping[str, Any]]] = [(KEYWORD, given)]
        if config_source is not None:
            opened, source = open_source(config_source, self._names)
            layers.append((source, opened))
        for source, values in layers:
            for name, value in values.items():
                self._keep(name, value, source)
        self._load_env()
        self._load_cli()

    def _load_env(self) -> None:
        environment: Mapping[str, str] = self.__dict__["env"]
        if prefix := environment.get(PREFIX_VARIABLE):
            source = Source("environment", PREFIX_VARIABLE)
            self._keep("env_prefix", prefix, source)
        prefix = self._given.get("env_prefix")
        for called, text, variable in read_env(self.SETTINGS, environment, prefix=prefix):
            name = self._names.resolve(called)
            if name is not None:
                value = self._names.in_our_unit(called, text)
                self._keep(name, value, Source("environment", variable))

    def _load_cli(self) -> None:
        for name, value in self._cli.items():
            self._keep(name, value, COMMAND_LINE)

    def _keep(self, name: str, value: Any, source: Source) -> None:
        definition = self.SETTINGS[name]
        try:
            kept = definition.kind.convert(value)
        except (TypeError, ValueError) as exc:
            raise ImproperlyConfigured(_refusal(definition, value, source, exc)) from exc
        self._given[name] = kept
        self._sources[name] = source
        if not definition.lazy:
            self.__dict__[name] = kept

    def _fill_defaults(self) -> None:
        for name, definition in self.SETTINGS.items():
            if not definition.lazy:
                self.__dict__.setdefault(name, definition.kept_default)

    def _forget_worked_out(self) -> None:
        """What was worked out may depend on what has just changed."""
        for name, definition in self.SETTINGS.items():
            if definition.lazy:
                self.__dict__.pop(name, None)

    # -- changing ------------------------------------------------------------------------------

    def _assign(self, name: str, value: Any) -> None:
        if name.startswith("_") or (hasattr(type(self), name) and name not in self._names):
            object.__setattr__(self, name, value)
            return
        canonical = self._names.resolve(name, value)
        if canonical is None:
            return
        if self._in_use:
            warn(
                f"setting {canonical!r} is assigned while the app runs: what has read it keeps "
                f"the old value",
                AlreadyConfiguredWarning,
                stacklevel=caller_outside(),
            )
        self.change(canonical, self._names.in_our_unit(name, value))

    def change(self, canonical: str, value: Any, source: Source = ASSIGNMENT) -> None:
        """Assign a setting without asking whether that comes too late.

        Arguments:
            canonical: Its name.
            source: What `source_of` will say.
        """
        if value is None:
            self._reset(canonical)
        else:
            self._keep(canonical, value, source)
        self._forget_worked_out()

    if not TYPE_CHECKING:
        # Type checkers would take any name for an attribute if they saw it.
        __setattr__ = _assign

    def _reset(self, name: str) -> None:
        """Go back to the default."""
        if name == "id":
            raise ImproperlyConfigured("setting 'id' must be text that is not empty, but is None")
        self._given.pop(name, None)
        self._sources.pop(name, None)
        self.__dict__[name] = self.SETTINGS[name].kept_default

    def use(self, in_use: bool) -> None:
        """Say whether an app runs with these settings: assigning one then is warned about."""
        self._in_use = in_use

    def seal(self) -> None:
        """End the configuration: the command line wins over what a signal handler assigned.

        Raises:
            ImproperlyConfigured: settings contradict each other.
        """
        self._load_cli()
        self._forget_worked_out()
        self.validate()

    def validate(self) -> None:
        """Check what no setting can see alone.

        Raises:
            ImproperlyConfigured: settings contradict each other.
        """
        if "id" not in self._given:
            raise ImproperlyConfigured("an app needs an id: faust.App('myapp')")
        _ = self.id
        for problem in _contradictions(self):
            raise ImproperlyConfigured(problem)

    # -- asking --------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.id}>"

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name in RETIRED:
                raise AttributeError(f"setting {name!r} is gone: {RETIRED[name].why}")
            hint = "" if name.startswith("_") else self._names.suggestion(name)
            raise AttributeError(f"there is no setting {name!r}{hint}")

    def source_of(self, name: str) -> Source:
        """Return where the value of a setting came from.

        Raises:
            ImproperlyConfigured: there is no such setting.
        """
        canonical = self._names.resolve(name)
        return DEFAULT if canonical is None else self._sources.get(canonical, DEFAULT)

    @classmethod
    def setting_names(cls) -> set[str]:
        """Return the names of all settings."""
        return set(cls.SETTINGS)

    @property
    def name(self) -> str:
        """The id as it was given, without the version."""
        return str(self._given["id"])

    @property
    def appdir(self) -> Path:
        """Where this version of the app keeps its data: ``{datadir}/v{version}``."""
        return self.data_directory_for_version(self.version)

    def data_directory_for_version(self, version: int) -> Path:
        """Return where a version of the app keeps its data."""
        return self.datadir / f"v{version}"

    def find_old_versiondirs(self) -> Iterable[Path]:
        """Yield the data directories that exist of versions before this one, the newest first."""
        for version in range(self.version - 1, -1, -1):
            path = self.data_directory_for_version(version)
            if path.is_dir():
                yield path


def _index(cls: type[Settings]) -> None:
    cls._names = Names(cls.SETTINGS)
    sections: dict[str, list[Setting[Any, Any]]] = {}
    for definition in cls.SETTINGS.values():
        sections.setdefault(definition.section, []).append(definition)
    cls.SETTINGS_BY_SECTION = sections


_index(Settings)


def _refusal(definition: Setting[Any, Any], value: Any, source: Source, exc: Exception) -> str:
    """One sentence: which setting, what it must be, what it is, where that came from."""
    shown = type(value).__name__ if definition.kind.secret else repr(value)
    where = "" if source.level in ("keyword", "assignment") else f" (from {source})"
    hint = str(exc)
    told = f": {hint}" if definition.kind.tells and hint else ""
    return f"setting {definition.name!r} must be {definition.expects}, but is {shown}{where}{told}"


def _contradictions(conf: Settings) -> Iterator[str]:
    from faust._values import ProcessingGuarantee

    if conf.broker_heartbeat_interval >= conf.broker_session_timeout:
        yield (
            f"setting 'broker_heartbeat_interval' ({conf.broker_heartbeat_interval} s) must be "
            f"below 'broker_session_timeout' ({conf.broker_session_timeout} s)"
        )
    if conf.producer_max_batch_size > conf.producer_max_request_size:
        yield (
            f"setting 'producer_max_batch_size' ({conf.producer_max_batch_size} bytes) must not be "
            f"above 'producer_max_request_size' ({conf.producer_max_request_size} bytes)"
        )
    exactly_once = conf.processing_guarantee is ProcessingGuarantee.EXACTLY_ONCE
    if exactly_once and conf.producer_acks != -1:
        yield (
            f"setting 'producer_acks' is {conf.producer_acks}, but "
            f"processing_guarantee='exactly_once' needs -1 (all replicas)"
        )
