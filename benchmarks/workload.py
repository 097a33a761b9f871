"""The workload of the benchmarks: a run of three steps, each a small asynchronous function."""

import asyncio

from engine import Call, ContextObject, Registry, WorkflowBuilder, WorkflowDefinition

INPUT = {"input": {"prompt": "What is the capital of Brazil?", "user_id": 42}}


async def step(context: ContextObject, call: Call) -> None:
    """Do what a small step does: read a value, write one."""
    context.set(f"output.{call.node_id}", context.get("input.user_id", int) + 1)


def registry() -> Registry:
    """Return a registry with the step."""
    made = Registry()
    made.node("step")(step)
    return made


def workflow() -> WorkflowDefinition:
    """Return the workflow of three steps."""
    builder = WorkflowBuilder("three_steps", "Three steps").start()
    for name in ("first", "second", "third"):
        builder = builder.code(name, function="step")
    return builder.end().build()


class Waiting:
    """A node function that counts who came and never returns.

    Args:
        expected: How many are to come.

    Attributes:
        count: How many came.
        all_here: Set when all are here.
    """

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self.count = 0
        self.all_here = asyncio.Event()

    async def __call__(self, context: ContextObject, call: Call) -> None:  # noqa: ARG002 - a node function's signature
        """Count this call and wait until the process dies."""
        self.count += 1
        if self.count == self._expected:
            self.all_here.set()
        await call.wait_cancelled()
