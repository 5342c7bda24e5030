"""Settings of the web server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faust.settings.kinds import Bool, Int, JSONMapping, Text, TLSContext
from faust.settings.lazy_kinds import URLKind
from faust.settings.params import Section, computed, setting
from faust.utils.urls import Address, to_url

if TYPE_CHECKING:
    from yarl import URL

__all__ = ["WebSettings"]


class CanonicalURL(URLKind):
    """A URL, or a host name: then of this worker's port on that host."""

    def __init__(self) -> None:
        super().__init__("http://host:6066")

    def convert(self, value: Any) -> Address:
        if isinstance(value, str) and value and "://" not in value:
            return Address("", value)
        return super().convert(value)

    def finish(self, conf: Any, value: Address) -> URL:
        if value.scheme:
            return to_url(value)
        host, colon, port = value.authority.rpartition(":")
        has_port = bool(colon) and port.isdigit() and (":" not in host or host.endswith("]"))
        return _web_url(conf, value.authority if has_port else _with_port(conf, value.authority))


def _with_port(conf: Any, host: str) -> str:
    is_ipv6 = ":" in host and not host.startswith("[")
    return f"[{host}]:{conf.web_port}" if is_ipv6 else f"{host}:{conf.web_port}"


def _web_url(conf: Any, authority: str) -> URL:
    return to_url(Address("https" if conf.web_ssl_context else "http", authority))


def _host_name(conf: Any) -> str:
    from socket import gethostname

    return gethostname()


def _own_host(conf: Any) -> str:
    return str(conf.web_host)


class WebSettings(Section, title="Web"):
    """The web server that every worker has."""

    web_enabled = setting(
        Bool(),
        default=True,
        env="APP_WEB_ENABLED",
        option="--with-web, --without-web",
        since="1.2",
        text="Whether workers start a web server.",
    )
    web_port = setting(
        Int(0, 65535),
        default=6066,
        env="WEB_PORT",
        process_env=("FAUST_WEB_PORT", "F_WEB_PORT"),
        option="-p, --web-port",
        since="1.2",
        text="Port of the web server; 0 takes any that is free.",
    )
    web_bind = setting(
        Text(),
        default="0.0.0.0",
        env="WEB_BIND",
        process_env=("FAUST_WEB_BIND", "F_WEB_BIND"),
        option="-b, --web-bind",
        since="1.2",
        text="""Address that the web server listens at. The default is reached from other machines;
        ``127.0.0.1`` is not.""",
    )
    web_host = setting(
        Text(),
        default=computed(_host_name, "socket.gethostname()"),
        env="WEB_HOST",
        option="-h, --web-host",
        since="1.2",
        text="Name by which other workers reach this machine; part of ``canonical_url``.",
    )
    canonical_url = setting(
        CanonicalURL(),
        default=computed(_own_host, "http://{web_host}:{web_port}"),
        env="NODE_CANONICAL_URL",
        text="""How other workers reach this one's web server. It is made of ``web_host`` and
        ``web_port``, and seldom set; a host name alone gets this worker's port.""",
    )
    web_transport = setting(
        URLKind("unix:///path/of.sock"),
        default="tcp://",
        process_env=("FAUST_WEB_TRANSPORT", "F_WEB_TRANSPORT"),
        option="--web-transport",
        since="1.2",
        text="What the web server listens on: ``tcp://``, or ``unix:///path`` for a Unix socket.",
    )
    web = setting(
        URLKind("aiohttp://"),
        default="aiohttp://",
        since="1.2",
        text="The web server itself: ``aiohttp://``; the scheme may be the path of a class.",
    )
    web_ssl_context = setting(
        TLSContext(),
        default=None,
        since="0.5.0",
        text="TLS context of the web server, which then speaks HTTPS.",
    )
    web_application_options = setting(
        JSONMapping(),
        default=None,
        since="0.11.4",
        text="Further keyword arguments for ``aiohttp.web.Application``.",
    )
    web_cors_options = setting(
        JSONMapping(),
        default=None,
        since="1.5",
        text="""Which other sites' pages may use ours, where a page does not say so itself: origin
        (``*`` for any) to ``faust.web.ResourceOptions``, or to a mapping of its fields; as JSON
        text, too.""",
    )
    web_stats_enabled = setting(
        Bool(),
        default=computed(lambda conf: bool(conf.debug), "value of debug"),
        env="APP_WEB_STATS_ENABLED",
        since="0.15.0",
        text="""Whether the status page shows the statistics of the monitor, ``/stats/`` those of
        all sensors, and ``/assignment/`` the partitions of this worker.""",
    )
    web_tables_enabled = setting(
        Bool(),
        default=True,
        env="APP_WEB_TABLES_ENABLED",
        since="0.15.0",
        text="Whether tables can be read by key over HTTP, below ``/table/``.",
    )
    web_router_enabled = setting(
        Bool(),
        default=True,
        env="APP_WEB_ROUTER_ENABLED",
        since="0.15.0",
        text="Whether ``/router/`` says which worker has which partition, and which key.",
    )
    web_metrics_enabled = setting(
        Bool(),
        default=True,
        env="APP_WEB_METRICS_ENABLED",
        since="0.15.0",
        text="Whether ``/metrics`` is there for Prometheus, where its client is installed.",
    )
