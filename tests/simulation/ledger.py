"""User code of a simulation, and the ledger in which every execution of it is written down, outside the engine."""

import asyncio
from random import Random

from engine import Call, ContextObject, Registry
from engine.context.values import WireObject
from engine.nodes.node_type import Configuration, Done, Failed, Left, NodeType, Step, Work
from engine.nodes.switch import Switch, SwitchConfiguration
from tests.checkers import Effect


class Ledger:
    """What user code leaves behind outside the engine, however often it crashes.

    Attributes:
        random: Draws how long user code takes, and whether it fails.
        effects: One for each call, in order.
        calm: Set when functions that wait for better times may go on.
    """

    def __init__(self, random: Random) -> None:
        self.random = random
        self.effects: list[Effect] = []
        self.calm = asyncio.Event()

    def registry(self, process: str) -> Registry:
        """Return the functions and node types as one process has them."""
        made = Registry()
        desk = Desk(self, process)
        _add_plain(made, desk)
        _add_troubled(made, desk)
        _add_predicates(made, desk)
        made.node_type(Tick)
        made.node_type(Errand(desk))
        # It asks predicates, which are not told for whom.
        made._node_types["switch"] = WatchedSwitch(desk)  # type: ignore[assignment]  # of this configuration
        return made


class Desk:
    """Where the functions of one process write down that they are executed."""

    def __init__(self, ledger: Ledger, process: str) -> None:
        self.ledger = ledger
        self.random = ledger.random
        self._process = process

    def write(self, call: Call) -> None:
        """Write an execution down."""
        number = int(call.trace_id.rsplit(".", 1)[1])
        effect = Effect(call.run_id, number, call.attempt, self._process, call.idempotency_key)
        self.ledger.effects.append(effect)

    async def work(self, call: Call) -> None:
        """Write an execution down, and take some time."""
        self.write(call)
        for _ in range(self.random.choice((0, 0, 1, 3, 20))):
            await asyncio.sleep(0)


def _add_plain(made: Registry, desk: Desk) -> None:
    @made.node("step")
    async def step(context: ContextObject, call: Call) -> None:
        await desk.work(call)
        _count(context)

    @made.node("sync-step")
    def sync_step(context: ContextObject, call: Call) -> dict[str, object]:
        desk.write(call)
        return {"steps": context.try_get("steps", int, 0) + 1}

    @made.node("slow")
    async def slow(context: ContextObject, call: Call) -> None:
        await desk.work(call)
        # Longer than it takes until a group gives a silent process's partitions away.
        pause = desk.random.choice((0.05, 1.0, 15.0))
        # A loop of many long pauses would look like a run that does not end.
        await asyncio.sleep(min(pause, 0.05) if desk.ledger.calm.is_set() else pause)
        _count(context)

    @made.node("patient")
    async def patient(context: ContextObject, call: Call) -> None:
        await desk.work(call)
        await desk.ledger.calm.wait()
        context.set("waited", True)

    @made.node("hanging")
    async def hanging(context: ContextObject, call: Call) -> None:
        # It hears neither of a cancellation nor of the end, until times are better.
        await desk.work(call)
        while not desk.ledger.calm.is_set():
            try:
                await desk.ledger.calm.wait()
            except asyncio.CancelledError:
                if not call.cancelled:
                    raise
        _count(context)


def _add_troubled(made: Registry, desk: Desk) -> None:
    @made.node("fragile")
    async def fragile(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - a node function's signature
        await desk.work(call)
        if call.run_id[-1] in "01234567":
            raise ValueError(f"not {call.run_id}")

    @made.node("flaky")
    async def flaky(context: ContextObject, call: Call) -> None:
        await desk.work(call)
        # Another attempt may do what this one did not.
        if desk.random.random() < 0.3:
            raise ConnectionError("not now")
        context.set("given", call.attempt)

    @made.node("sync-fragile")
    def sync_fragile(context: ContextObject, call: Call) -> None:
        desk.write(call)
        context.set("half", "done")
        if call.run_id[-1] in "0123":
            raise SystemExit(3)

    @made.node("odd")
    async def odd(context: ContextObject, call: Call) -> object:
        await desk.work(call)
        wrong: tuple[object, ...] = ({"given": 2}, None, "no mapping", {"a..b": 1}, {"deep": float("nan")}, context)
        return wrong[int(call.run_id[-1], 16) % len(wrong)]

    @made.node("cancelled")
    async def cancelled(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - a node function's signature
        await desk.work(call)
        if call.run_id[-1] in "01234567":
            raise asyncio.CancelledError


FUNCTIONS = (
    "step", "sync-step", "slow", "patient", "hanging", "fragile", "flaky", "sync-fragile", "odd", "cancelled",
)  # fmt: skip
"""The names of all functions."""


def _add_predicates(made: Registry, desk: Desk) -> None:
    @made.predicate("few")
    def few(context: ContextObject) -> bool:
        return context.try_get("n", int, 0) < 2

    @made.predicate("later")
    async def later(context: ContextObject) -> bool:
        await asyncio.sleep(desk.random.choice((0.0, 0.2)))
        return context.try_get("steps", int, 0) > 1


PREDICATES = ("few", "later")
"""The names of all predicates."""


def _count(context: ContextObject) -> None:
    context.set("steps", context.try_get("steps", int, 0) + 1)


class NothingConfiguration(Configuration):
    """No configuration."""


class Tick(NodeType[NothingConfiguration]):
    """A node type of a user, all of whose work is pure."""

    name = "tick"
    configuration = NothingConfiguration

    def decide(self, configuration: NothingConfiguration, context: WireObject) -> Step:  # noqa: ARG002 - the signature
        """Count, and fail when there is too much of it."""
        ticks = context.get("ticks", 0)
        if not isinstance(ticks, int) or ticks > 5:
            return Failed("too_many_ticks", f"expected at most 5 ticks, found {ticks}")
        return Done([{"op": "set", "path": ["ticks"], "value": ticks + 1}])


class Errand(NodeType[NothingConfiguration]):
    """A node type of a user with work outside."""

    name = "errand"
    configuration = NothingConfiguration

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def decide(self, configuration: NothingConfiguration, context: WireObject) -> Step:  # noqa: ARG002 - the signature
        """Ask for the errand to be run."""
        return Work()

    async def execute(self, configuration: NothingConfiguration, context: ContextObject, call: Call) -> str:
        """Run the errand."""
        del configuration
        await self._desk.work(call)
        _count(context)
        return "next"


USER_TYPES = ("tick", "errand")
"""The names of the node types of users."""


class WatchedSwitch(Switch):
    """The switch, whose executions are written down."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def execute(self, configuration: SwitchConfiguration, context: ContextObject, call: Call) -> Left:
        """Write the execution down, and ask the predicates."""
        self._desk.write(call)
        return await super().execute(configuration, context, call)
