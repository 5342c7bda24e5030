"""``/health``: is this worker alive?  ``/ready``: does it process all that is its own?

Alive means: the app's loop runs, batches are asked for and answered, commits succeed.  A worker
that is not alive for `STALL` seconds should be restarted.  An event that takes long is legal: while
it awaits, all of this goes on, and the worker is only not ready once it has been at it for longer
than ``broker_commit_livelock_soft_timeout``.  Both are answered on the server's own thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from faust.web.base import Page
from faust.web.messages import Request, Response
from faust.web.views import View

__all__ = ["PAGES", "stalls", "unready"]

#: Seconds without progress that make a stall; a probe sees it within 30.
STALL = 25.0


def stalls(app: Any) -> list[str]:
    """Return what of this worker stands still, in words; nothing if it is alive."""
    return list(_stalls(app))


def _stalls(app: Any) -> Iterator[str]:
    if app.failure is not None:
        yield f"crashed: {app.failure}"
    blocked = app.watchdog.blocked_for
    if blocked >= STALL:
        yield f"the event loop has been blocked for {blocked:.0f} s"
    engine = app.engine
    if engine is None or getattr(engine, "committer", None) is None:
        return
    now = app.clock.monotonic()
    silent = now - engine.fetcher.last_answer
    if silent >= STALL and not engine.fetcher.idle:
        yield f"no answer from the broker to a fetch for {silent:.0f} s"
    uncommitted = now - engine.committer.last_progress
    if uncommitted >= max(STALL, 2 * app.conf.broker_commit_interval + 5.0):
        trouble = f": {engine.committer.trouble}" if engine.committer.trouble else ""
        yield f"no commit has succeeded for {uncommitted:.0f} s{trouble}"


def unready(app: Any) -> str:
    """Return why this worker is not processing everything that is its own; "" if it is."""
    reason: str = app.not_ready_because()
    if reason:
        return reason
    blocked = app.watchdog.blocked_for
    if blocked >= app.conf.blocking_timeout:
        return f"the event loop has been blocked for {blocked:.0f} s"
    stuck: list[str] = app.inspector.stuck()
    return stuck[0] if stuck else ""


class Health(View):
    """Is this worker alive?"""

    in_server = True

    async def get(self, request: Request, **params: Any) -> Response:
        """Answer 200, or 503 with the reasons."""
        reasons = stalls(self.app)
        body: dict[str, Any] = {"status": "stalled" if reasons else "ok"}
        if reasons:
            body["reasons"] = reasons
        return self.json(body, status=503 if reasons else 200)


class Ready(View):
    """Is this worker processing everything that is its own?"""

    in_server = True

    async def get(self, request: Request, **params: Any) -> Response:
        """Answer 200, or 503 with the reason."""
        reason = unready(self.app) or "".join(stalls(self.app)[:1])
        body = {"status": "not ready", "reason": reason} if reason else {"status": "ready"}
        return self.json(body, status=503 if reason else 200)


PAGES = [Page("/health", Health, "health"), Page("/ready", Ready, "ready")]
