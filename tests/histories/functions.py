"""What the workflows of the histories call. A function stays as it is as long as a history has runs that call it."""

import asyncio
from typing import Final

from engine import Call, ContextObject, Registry
from engine.context.values import WireObject
from engine.nodes.node_type import Configuration, Done, NodeType, Step, Work


class RouteConfiguration(Configuration):
    """The configuration of a route.

    Attributes:
        key: What is looked for in the context.
    """

    key: str


class Route(NodeType[RouteConfiguration]):
    """A node type of one's own that is decided in the core."""

    name = "route"
    configuration = RouteConfiguration

    def outputs(self, configuration: RouteConfiguration) -> tuple[str, ...]:  # noqa: ARG002 - the same for all
        """Return the two ways."""
        return ("yes", "no")

    def decide(self, configuration: RouteConfiguration, context: WireObject) -> Step:
        """Look for the key, and remember that."""
        there = configuration.key in context
        return Done([{"op": "set", "path": ["looked"], "value": there}], "yes" if there else "no", "looked")


class Pause(NodeType[Configuration]):
    """A node type of one's own with work outside the core."""

    name = "pause"
    configuration = Configuration

    def decide(self, configuration: Configuration, context: WireObject) -> Step:  # noqa: ARG002 - the port's
        """Leave it to `execute`."""
        return Work()

    async def execute(self, configuration: Configuration, context: ContextObject, call: Call) -> str:  # noqa: ARG002
        """Say that it was there."""
        context.set("paused", call.node_id)
        return "next"


class Gate:
    """What a function waits for, for ever unless it is opened."""

    def __init__(self) -> None:
        self.begun, self.open = asyncio.Event(), asyncio.Event()

    async def __call__(self, context: ContextObject, call: Call) -> None:
        """Wait, and say which attempt it was."""
        self.begun.set()
        await self.open.wait()
        context.set("waited", call.attempt)


LONG_TEXT: Final = "no, " * 2_000
"""Longer than an error's text may be."""


def registry(gate: Gate | None = None) -> Registry:
    """Return all functions, predicates and node types.

    Args:
        gate: What `wait` and `hang` wait for; it is closed unless given.
    """
    made = Registry()
    made.node_type(Route)
    made.node_type(Pause)
    gate = gate or Gate()
    made.node("wait")(gate)
    made.node("hang")(gate)
    made.node("count")(_count)
    made.node("fail")(_fail)
    made.node("fail_at_length")(_fail_at_length)
    made.node("leave_nowhere")(_leave_nowhere)
    made.node("grow")(_grow)
    made.predicate("even")(_even)
    return made


def _count(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - a node function's signature
    context.set("n", context.try_get("n", int, 0) + 1)


async def _fail(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - the same
    raise ValueError("no")


async def _fail_at_length(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - the same
    raise RuntimeError(LONG_TEXT)


async def _leave_nowhere(context: ContextObject, call: Call) -> str:  # noqa: ARG001 - the same
    return "nowhere"


async def _grow(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - the same
    context.set("large", ["x" * 1_000] * 300)


def _even(context: ContextObject) -> bool:
    return context.get("n", int) % 2 == 0
