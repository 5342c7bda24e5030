"""An app that asks its own agent while workers come and go."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Any

from faust.testing.oracle import Truth
from faust.testing.scenario import Scenario

if TYPE_CHECKING:
    from faust.app.base import App
    from faust.testing.harness import Harness, WorkerEnvironment

__all__ = ["Asking"]

#: Nobody asks any more after so many virtual seconds.
UNTIL = 40.0
#: How long an answer is waited for (virtual seconds).
PATIENCE = 15.0


class Asking(Scenario):
    """Each worker asks an agent now and then; answers are right, or do not come in time."""

    name = "asking"
    number = 15
    tables = ("count",)

    def __init__(self, partitions: int = 4) -> None:
        super().__init__(partitions)
        self.topics["doubling"] = partitions
        self._answers: list[str] = []
        self._numbers = count()

    def expected(self, truth: Truth) -> dict[str, dict[str, Any]]:
        """Return how many events each key has."""
        return {"count": truth.counts()}

    def make_app(self, env: WorkerEnvironment) -> App:
        """Return the app of one worker."""
        from faust.agents.replies import AgentError, AskTimeout

        app, source, sink = self.new_app(env)
        questions = app.topic("doubling", key_type=str, value_type=int)
        table = app.Table("count", default=int, key_type=str, value_type=int)

        async def counting(stream: Any) -> None:
            async for event in stream.events():
                env.begin(event)
                table[event.value["key"]] += 1
                await env.work()
                await sink.send(key=event.value["key"], value=event.value)
                env.end(event)

        async def doubling(stream: Any) -> Any:
            async for number in stream:
                await env.work()
                if number % 7 == 3:
                    raise ValueError("I do not like it")
                yield number * 2

        app.agent(source, name="counting")(counting)
        asked = app.agent(questions, name="doubling", error_policy="skip")(doubling)

        async def ask() -> None:
            while env.clock.monotonic() < UNTIL:
                number = next(self._numbers)
                try:
                    answer = await asked.ask(number, key=f"n{number}", timeout=PATIENCE)
                except AskTimeout:
                    self._answers.append("late")
                except AgentError as exc:
                    self._answers.append("" if number % 7 == 3 else f"{number}: {exc}")
                except Exception as exc:
                    self._answers.append("late" if env.is_outside(exc) else f"{number}: {exc!r}")
                else:
                    right = number % 7 != 3 and answer == number * 2
                    self._answers.append("" if right else f"{number}: {answer}")
                await asyncio.sleep(env.random.random())

        app.task()(ask)
        return app

    def judge(self, harness: Harness) -> list[str]:
        """Return the answers that were wrong."""
        return [f"asking: {each}" for each in self._answers if each not in ("", "late")]
