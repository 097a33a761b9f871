"""Taking a partition over reads from its last checkpoint only; a checkpoint that is no good costs time, never truth."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from engine import Call, ContextObject, EngineService, Registry
from engine.core.view import View
from engine.executor import checkpointer
from engine.executor.beginning import Beginning, begin
from engine.log.embedded import EmbeddedLog
from engine.log.kafka import KafkaLog
from engine.log.port import EVENTS, Log, Record
from tests.kafka.engines import QUICK, SECONDS, eventually, read_all
from tests.support.logs import new_location
from tests.support.workflows import END, chain, code

OPEN = 30
FINISHED = 300
CHECKPOINT_BYTES = 60_000
PART_BYTES = 3_000


class Gate:
    """A function that counts who came, and returns when it is opened."""

    def __init__(self) -> None:
        self.came: set[str] = set()
        self.open = asyncio.Event()

    async def __call__(self, context: ContextObject, call: Call) -> None:
        self.came.add(call.run_id)
        await self.open.wait()
        context.set("done", call.attempt)


class Place(NamedTuple):
    """Where a log is, how to open it, and the engine that works on it now.

    Attributes:
        location: For `EngineService.open`.
        open_log: Opens it beside no engine.
        properties: Of the Kafka client.
    """

    location: str
    open_log: Callable[[], Awaitable[Log]]
    properties: Mapping[str, str]

    def engine(self, gate: Gate) -> EngineService:
        registry = Registry()
        registry.node("gate")(gate)

        @registry.node("add")
        async def add(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - a node function's signature
            context.set("total", context.try_get("total", int, 0) + 1)

        return EngineService.open(
            self.location,
            registry,
            executor=True,
            kafka_properties=self.properties,
            # Those that wait at the gate must leave a place for those that end.
            nodes_running_max=OPEN + 1,
        )


@pytest.fixture(params=["kafka", "embedded"])
async def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(checkpointer, "CHECKPOINT_BYTES_MIN", CHECKPOINT_BYTES)
    monkeypatch.setattr("engine.core.checkpoint.CHECKPOINT_PART_BYTES", PART_BYTES)
    if request.param == "kafka":
        location = await new_location(request.getfixturevalue("broker"))
        return Place(str(location), lambda: KafkaLog.open(location), QUICK)
    return Place(str(tmp_path / "log"), lambda: EmbeddedLog.open(tmp_path / "log"), {})


@pytest.fixture
async def full(place: Place) -> Place:
    """Return a log with open runs behind and before finished ones."""
    gate = Gate()
    async with place.engine(gate) as engine:
        await engine.publish_workflow(chain(code("a", "gate"), END, workflow_id="waits"))
        await engine.publish_workflow(chain(code("a", "add"), code("b", "add"), END, workflow_id="ends"))
        for begun in range(0, FINISHED, FINISHED // 10):
            await asyncio.gather(
                *(engine.run_workflow("ends", {"number": each}) for each in range(FINISHED // 10)),
                *(start(engine, begun) for _ in range(OPEN // 10)),
            )
        await eventually(lambda: len(gate.came) == OPEN, "all runs wait")
    return place


async def start(engine: EngineService, number: int) -> None:
    run_id = await engine.create_workflow_run("waits")
    await engine.start_workflow_run_and_notify(run_id, {"number": number})


async def finish(place: Place, runs: int) -> float:
    """Take over, let all runs end, and return the seconds until all of them were running again."""
    gate = Gate()
    begun = time.monotonic()
    async with place.engine(gate) as engine:
        await eventually(lambda: len(gate.came) == runs, "all runs are running again")
        seconds = time.monotonic() - begun
        gate.open.set()
        for run_id in gate.came:
            run = await engine.wait_for_workflow_run(run_id, timeout=SECONDS)
            assert run.output_context is not None
            assert '"done":' in run.output_context
    return seconds


async def begun_from(log: Log) -> tuple[Beginning, View]:
    """Return where a new owner begins, and what it knows when it has read up to the end."""
    beginning = await begin(log, 0)
    view, start = beginning.view, beginning.view.position
    for record in (await read_all(log, EVENTS))[start:]:
        view.fold(record)
    return beginning._replace(view=View(start)), view


async def test_who_takes_over_reads_from_the_last_checkpoint_only(full: Place) -> None:
    log = await full.open_log()
    beginning, view = await begun_from(log)
    records = await read_all(log, EVENTS)
    await log.close()
    start = beginning.view.position
    whole = sum(len(record.value) for record in records)
    read = beginning.bytes_read + sum(len(record.value) for record in records[start:])
    assert len(view.runs) == OPEN
    assert start > 0
    # How much less is a matter of scale, which the benchmark measures: a checkpoint holds every open run.
    assert read < whole
    seconds = await finish(full, OPEN)
    print(f"{read} of {whole} bytes read; {OPEN} open runs behind {FINISHED} finished ones go on after {seconds:.2f} s")


def damaged(record: Record) -> Record:
    return record._replace(value=record.value[:-1] + bytes([record.value[-1] ^ 1]))


def cut(record: Record) -> Record:
    return record._replace(value=record.value[: len(record.value) // 2])


def emptied(record: Record) -> Record:
    return record._replace(value=b"")


def nothing(record: Record) -> None:  # noqa: ARG001 - a part that is left out
    return None


@pytest.mark.parametrize("harm", [damaged, cut, emptied, nothing])
async def test_a_checkpoint_that_is_damaged_cut_or_missing_costs_time_and_never_truth(
    full: Place, harm: Callable[[Record], Record | None]
) -> None:
    log = await full.open_log()
    try:
        whole = View()
        records = await read_all(log, EVENTS)
        for record in records:
            whole.fold(record)
        good, view = await begun_from(log)
        assert view.runs == whole.runs
        assert good.view.position > 0
        parts = [record for record in records if record.headers["ce_type"] == "runline.checkpoint"]
        last = [part for part in parts if part.headers["start"] == str(good.view.position)]
        assert len(last) > 1, "a checkpoint of one part cannot be torn"
        first = (await log.ends(EVENTS, 0)).end
        for part in last:
            # Copies of the last checkpoint, of which one is no good, and a record that names them.
            copy = Record(part.key, part.value, {**part.headers, "checkpoint": str(first)})
            harmed = harm(copy) if part is last[1] else copy
            if harmed is not None:
                await log.append(EVENTS, 0, harmed)
        beginning, view = await begun_from(log)
    finally:
        await log.close()
    assert beginning.view.position <= good.view.position
    assert view.runs == whole.runs
    assert view.ended.items() <= whole.ended.items()
    await finish(full, OPEN)
