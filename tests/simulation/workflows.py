"""Workflows of a simulation, and the functions they call, which write every execution into a ledger outside."""

import asyncio
from random import Random

from pydantic import JsonValue

from engine import Call, ContextObject, Registry, WorkflowBuilder, WorkflowDefinition
from tests.checkers import Effect
from tests.support.workflows import END, chain, code, edit


def definitions() -> list[WorkflowDefinition]:
    """Return workflows that end on their own: without work outside, with it, with loops of both kinds, and failures."""
    pure = WorkflowBuilder("pure-loop", "pure loop").start()
    work = WorkflowBuilder("work-loop", "work loop").start().code("step", function="step")
    return [
        chain(edit("mark", set=[{"path": "mark", "value": True}]), END, workflow_id="pure"),
        chain(code("a", "step"), code("b", "step"), END, workflow_id="steps"),
        chain(code("a", "step"), code("b", "fragile"), END, workflow_id="fragile"),
        chain(code("a", "patient"), code("b", "step"), END, workflow_id="patient"),
        chain(edit("a", set=[{"path": "x.y", "value": [1]}]), code("b", "step"), workflow_id="open-end"),
        _counting(pure, 20, back_to="count"),
        _counting(work, 3, back_to="step"),
    ]


def _counting(builder: WorkflowBuilder, times: int, *, back_to: str) -> WorkflowDefinition:
    more: dict[str, JsonValue] = {"output": "again", "when": f"n < `{times}`"}
    builder.edit("count", set=[{"path": "n", "expression": "sum([n || `0`, `1`])"}])
    builder.switch("more", cases=[more]).after("more", "default").end()
    return builder.connect("more", back_to, "again").build()


class Ledger:
    """What functions leave behind outside the engine, however often it crashes.

    Attributes:
        effects: One for each call of a function, in order.
        calm: Set when functions that wait for better times may go on.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self.effects: list[Effect] = []
        self.calm = asyncio.Event()

    def registry(self, process: str) -> Registry:
        """Return the functions as one process has them."""
        made = Registry()

        async def work(call: Call) -> None:
            self.effects.append(Effect(call.run_id, int(call.trace_id.rsplit(".", 1)[1]), call.attempt, process))
            for _ in range(self._random.choice((0, 0, 1, 3, 20))):
                await asyncio.sleep(0)

        @made.node("step")
        async def step(context: ContextObject, call: Call) -> None:
            await work(call)
            context.set("steps", context.try_get("steps", int, 0) + 1)

        @made.node("fragile")
        async def fragile(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - a node function's signature
            await work(call)
            if call.run_id[-1] in "01234567":
                raise ValueError(f"not {call.run_id}")

        @made.node("patient")
        async def patient(context: ContextObject, call: Call) -> None:
            await work(call)
            await self.calm.wait()
            context.set("waited", True)

        return made
