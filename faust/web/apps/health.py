"""``/health``: is this worker alive?  ``/ready``: does it process all that is its own?

Alive means: the app's loop runs, batches are asked for and answered, commits succeed.  A worker
in which one of these stands still for 25 s should be restarted: a probe sees it within 30.  An
event that takes long is legal: while it awaits, all of this goes on, and the worker is only not
ready once it has been at it for longer than ``broker_commit_livelock_soft_timeout``.
Both are answered on the server's own thread.
"""

from __future__ import annotations

from typing import Any

from faust.web.base import Page
from faust.web.messages import Request, Response
from faust.web.views import View

__all__ = ["PAGES", "stalls", "unready"]


def stalls(app: Any) -> list[str]:
    """Return what of this worker stands still, in words; nothing if it is alive."""
    found: list[str] = app.inspector.stalls()
    return found


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
