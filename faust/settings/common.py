"""Settings of the app itself: identity, directories, discovery."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from faust._values import ProcessingGuarantee
from faust.exceptions import ImproperlyConfigured
from faust.settings.kinds import Bool, EnumChoice, Int, PathText, Text, Timezone
from faust.settings.lazy_kinds import Discover, URLKind
from faust.settings.params import Section, alias, computed, setting

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CommonSettings"]

DEFAULT_ID_FORMAT = "{id}-v{self.version}"

#: What a format string can do wrong; the last is a format that refers to the id it makes.
_FORMAT_ERRORS = (KeyError, IndexError, AttributeError, TypeError, ValueError, RecursionError)


def _no_id(conf: Any) -> str:
    raise ImproperlyConfigured("an app needs an id: faust.App('myapp')")


def _versioned_id(conf: Any, name: str) -> str:
    """The id with the version in it; the first version has none unless the format is the user's."""
    if conf.version == 1 and conf.id_format == DEFAULT_ID_FORMAT:
        return name
    text = _format(conf, "id_format", conf.id_format, id=name)
    if not text:
        raise ImproperlyConfigured(f"setting 'id_format' is {conf.id_format!r}: it makes no text")
    return text


def _data_directory(conf: Any, text: str) -> Path:
    text = _format(conf, "datadir", text, conf=conf, appid=conf.name)
    return _path(text)


def _table_directory(conf: Any, text: str) -> Path:
    path: Path = conf.appdir / _path(text)
    return path


def _path(text: str) -> Path:
    from pathlib import Path

    return Path(text).expanduser()


def _format(this: Any, setting_name: str, template: str, **values: Any) -> str:
    try:
        return template.format(self=this, **values)
    except _FORMAT_ERRORS as exc:
        raise ImproperlyConfigured(
            f"setting {setting_name!r} is {template!r}, which cannot be filled in: "
            f"{type(exc).__name__}: {exc}"
        ) from exc


class CommonSettings(Section, title="Common"):
    """Who the app is, and where it keeps its things."""

    id = setting(
        Text(),
        default=computed(_no_id, "required"),
        finish=_versioned_id,
        text="""Identity of the app: workers whose apps have the same id form one group and share
        the work. It is the name of the consumer group and begins the names of internal topics.
        Reading it gives the id with the version in it (see ``id_format``).""",
    )
    version = setting(
        Int(1),
        default=1,
        env="APP_VERSION",
        text="""Version of the app. Changing it makes a new, isolated app: another consumer group,
        other internal topics, another data directory. Source topics stay the same.""",
    )
    id_format = setting(
        Text(),
        default=DEFAULT_ID_FORMAT,
        env="APP_ID_FORMAT",
        text="""How the id is made of ``{id}`` (as given) and the version, ``{self.version}``. With
        the default the first version is the plain id; a format of your own is applied to every
        version.""",
    )
    autodiscover = setting(
        Discover(),
        default=False,
        text="""Which packages to import and scan for agents, tasks, timers, pages, commands and
        services. True scans the package of ``origin`` (and Django's INSTALLED_APPS where Django is
        in use); a list, or a function that returns one, names packages; False scans nothing.""",
    )
    origin = setting(
        Text(),
        default=None,
        option="-A, --app",
        text="""Import path of the module where the app is. Autodiscovery begins there, and names
        are shown without it. The command line fills it in.""",
    )
    datadir = setting(
        PathText(),
        default="{conf.name}-data",
        env="APP_DATADIR",
        process_env=("FAUST_DATADIR", "F_DATADIR"),
        option="-D, --datadir",
        finish=_data_directory,
        text="""Directory in which this instance keeps its data. It may refer to ``{appid}`` (the id
        without the version) and to other settings, ``{conf.version}``; ``~`` is your home.""",
    )
    tabledir = setting(
        PathText(),
        default="tables",
        env="APP_TABLEDIR",
        finish=_table_directory,
        text="""Directory in which this instance keeps its tables. A relative path lies in the
        directory of the version, ``{datadir}/v{version}``.""",
    )
    store = setting(
        URLKind("rocksdb://"),
        default="memory://",
        env="APP_STORE",
        text="""Where tables keep their values: ``memory://``, or ``rocksdb://`` for tables that are
        larger than memory and are there again at once after a restart. The scheme may be the path
        of a class.""",
    )
    store_url = alias(store)
    processing_guarantee = setting(
        EnumChoice(ProcessingGuarantee),
        default=ProcessingGuarantee.AT_LEAST_ONCE,
        env="PROCESSING_GUARANTEE",
        since="1.5",
        text="""What a crash may do. With ``at_least_once``, what an event has sent may be sent
        again; tables are exact. With ``exactly_once``, what an event sends, its table writes and
        its position count together or not at all, by transactions: readers that read committed
        records only (Faust does) see each message once, ``broker_commit_interval`` later. What is
        sent from outside of an event (timers, pages, commands, other threads) goes out at once, and
        so do questions (``ask``). What ``send()`` returns cannot be awaited inside of the event.
        Needs ``producer_acks=-1``; a worker keeps its transactional id in its data
        directory, unless it has a ``consumer_group_instance_id``.""",
    )
    timezone = setting(
        Timezone(),
        default=UTC,
        env="TIMEZONE",
        since="1.4",
        text="""The timezone that crontab entries mean: an object, or a name such as
        ``Europe/Berlin``.""",
    )
    debug = setting(
        Bool(),
        default=False,
        env="APP_DEBUG",
        option="--debug, --no-debug",
        text="""Shows more: what commands do, and all statistics on the status page, unless
        ``web_stats_enabled`` is off.""",
    )
    env_prefix = setting(
        Text(),
        default=None,
        since="1.11",
        text="""What the names of all environment variables begin with: with ``FOO`` it is
        ``FOO_BROKER_URL`` that sets the broker, and ``BROKER_URL`` does not. The environment
        variable APP_ENV_PREFIX, which never has a prefix, wins over this.""",
    )
