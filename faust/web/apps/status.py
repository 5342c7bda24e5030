"""``/``: the state of this worker at a glance, for people; as JSON for everything else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from html import escape
from typing import Any, TypeVar

from faust.web.apps.health import stalls, unready
from faust.web.base import Page
from faust.web.messages import Request, Response
from faust.web.views import View

__all__ = ["PAGES"]

T = TypeVar("T")


class Status(View):
    """The state of this worker."""

    in_server = True

    async def get(self, request: Request, **params: Any) -> Response:
        """Answer with a page for browsers, else with JSON."""
        state = self._state()
        if "text/html" in request.headers.get("Accept", ""):
            return self.html(_page(state))
        return self.json(state)

    def _state(self) -> dict[str, Any]:
        app = self.app
        reasons = stalls(app)
        state: dict[str, Any] = {
            "status": "STALLED" if reasons else "OK",
            **steady(app.describe),
            "not_ready_because": unready(app),
            "lag": _lag(app),
            "monitor": steady(app.monitor.asdict),
        }
        state["ready"] = not state["not_ready_because"]
        if not app.conf.web_stats_enabled:
            state["monitor"] = {name: state["monitor"].get(name) for name in _SHOWN}
        if reasons:
            state["reasons"] = reasons
        return state


#: What of the monitor is shown without ``web_stats_enabled``.
_SHOWN = ("events_per_second", "messages_received_total", "messages_sent", "commits", "uptime")


def steady(read: Callable[[], T]) -> T:
    """Read what the app's thread may be changing: again, if it changed under our hands."""
    for _ in range(5):
        try:
            return read()
        except RuntimeError:
            continue
    return read()


def _lag(app: Any) -> dict[str, int]:
    by_topic: Counter[str] = Counter()
    for tp, records in steady(app.topics.lag).items():
        by_topic[tp.topic] += records
    return dict(sorted(by_topic.items()))


def _page(state: dict[str, Any]) -> str:
    ready = state["ready"] and state["status"] == "OK"
    told = "ready" if ready else state["not_ready_because"] or ", ".join(state["reasons"])
    monitor = state["monitor"]
    figures = [
        ("events/s", f"{monitor['events_per_second'] or 0:,.0f}"),
        ("events", f"{monitor['messages_received_total']:,}"),
        ("sent", f"{monitor['messages_sent']:,}"),
        ("commits", f"{monitor['commits']:,}"),
        ("lag", f"{sum(state['lag'].values()):,}"),
        ("up", _duration(monitor["uptime"])),
    ]
    tiles = "".join(f"<div><b>{escape(v)}</b>{escape(k)}</div>" for k, v in figures)
    tables = [f'<a href="/table/{escape(name)}/">{escape(name)}</a>' for name in state["tables"]]
    return _TEMPLATE.format(
        id=escape(state["id"]),
        color="#2a7" if ready else "#c60",
        told=escape(told),
        tiles=tiles,
        lag=_rows((escape(topic), f"{n:,}") for topic, n in state["lag"].items()),
        agents=_rows((escape(name),) for name in state["agents"]),
        tables=_rows((link,) for link in tables),
        tasks=escape(", ".join(state["tasks"]) or "none"),
    )


def _rows(rows: Iterable[tuple[str, ...]]) -> str:
    made = ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows]
    return "".join(made) or "<tr><td>none</td></tr>"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


_TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{id}</title>
<meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="3">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 52em; padding: 0 1em;
  color: #222; background: #fff }}
h1 {{ margin: 0 }} h2 {{ font-size: 1em; margin: 2em 0 .3em; color: #666 }}
.state {{ color: {color}; font-weight: 600 }}
.tiles {{ display: flex; flex-wrap: wrap; gap: 1em; margin-top: 1.5em }}
.tiles div {{ border: 1px solid #8884; border-radius: 6px; padding: .5em 1em; color: #888 }}
.tiles b {{ display: block; font-size: 1.4em; color: #222; font-variant-numeric: tabular-nums }}
table {{ border-collapse: collapse }} td {{ padding: .1em 2em .1em 0 }}
td + td {{ text-align: right; font-variant-numeric: tabular-nums }}
@media (prefers-color-scheme: dark) {{
  body {{ background: #181818; color: #ddd }} .tiles b {{ color: #ddd }} a {{ color: #8bf }} }}
</style></head><body>
<h1>{id}</h1><div class="state">{told}</div>
<div class="tiles">{tiles}</div>
<h2>Lag by topic</h2><table>{lag}</table>
<h2>Agents</h2><table>{agents}</table>
<h2>Tables</h2><table>{tables}</table>
<h2>Tasks</h2><p>{tasks}</p>
</body></html>
"""

PAGES = [Page("/", Status, "status")]
