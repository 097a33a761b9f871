"""The workflows of the runs, and the functions that their nodes call."""

import asyncio
import os
import time
from pathlib import Path

from engine import Call, ContextObject, Registry, WorkflowBuilder, WorkflowDefinition
from tests.checkers.artefacts import Effect, note

_SLOW_SECONDS = 0.2
_LONG_SECONDS = 2.0

ENDS = {"steps": "Success", "fails": "Failed", "waits": "Success"}
"""The workflows, and how a run of each ends that nobody cancels."""


def workflows() -> list[WorkflowDefinition]:
    """Return all workflows."""
    functions = {"steps": ("quick", "slow", "blocking"), "fails": ("quick", "failing"), "waits": ("long", "quick")}
    found = []
    for name in ENDS:
        building = WorkflowBuilder(name, name).start()
        for number, function in enumerate(functions[name]):
            building = building.code(f"{function}{number}", function=function)
        found.append(building.end().build())
    return found


def registry(directory: Path) -> Registry:
    """Return functions that leave an effect in a directory of artefacts before they do anything else."""
    made = Registry()

    def effect(call: Call) -> None:
        run, trace = call.trace_id.rsplit(".", 1)
        note(directory, Effect(run, int(trace), call.attempt, str(os.getpid()), call.idempotency_key))

    @made.node("quick")
    async def quick(context: ContextObject, call: Call) -> None:
        effect(call)
        context.set(call.node_id, call.attempt)

    @made.node("slow")
    async def slow(context: ContextObject, call: Call) -> None:
        effect(call)
        await asyncio.sleep(_SLOW_SECONDS)
        context.set(call.node_id, call.attempt)

    @made.node("blocking")
    def blocking(context: ContextObject, call: Call) -> None:
        effect(call)
        time.sleep(_SLOW_SECONDS / 4)
        context.set(call.node_id, call.attempt)

    @made.node("failing")
    async def failing(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - the signature of a node function
        effect(call)
        raise ValueError("always")

    @made.node("long")
    async def long(context: ContextObject, call: Call) -> None:
        effect(call)
        await asyncio.sleep(_LONG_SECONDS)
        context.set(call.node_id, call.attempt)

    return made
