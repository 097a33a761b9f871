"""Brokers that are away: at the start, for a while under load, without a word; work goes on by itself."""

import asyncio
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import Call, ContextObject, EngineService, Registry, RunStatus
from engine.broker import Cluster
from engine.broker.jvm import JvmCluster
from engine.errors import LogError
from engine.log.errors import LogUnreachableError
from engine.log.kafka import KafkaLocation, KafkaLog
from engine.log.port import EVENTS
from projections import Views
from tests.checkers import Effect, check_runs
from tests.kafka.engines import QUICK, SECONDS, eventually, read_all
from tests.support.engines import executor_of
from tests.support.logs import new_location
from tests.support.workflows import END, chain, code
from tests.support.workflows import registry as workflows_registry

AWAY_SECONDS = {"killed": 30, "silent": 5}
"""Longer than a record may be on its way, so that its outcome is unknown."""
ON_ITS_WAY_MILLISECONDS = "2000"
IDLE_SECONDS = 3
LINES_MAX = 40
"""Far fewer than attempts to connect."""
STARTERS = 4
PAUSE_SECONDS = 0.03


@pytest.fixture(scope="module")
def mortal() -> Iterator[Cluster]:
    with JvmCluster() as cluster:
        yield cluster


async def test_brokers_that_are_away_at_the_start_are_named_within_the_time_for_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.log.kafka.topics.KAFKA_ANSWER_SECONDS_MAX", 1)
    begun = time.monotonic()
    with pytest.raises(LogUnreachableError, match=r"kafka://127.0.0.1:1/nobody.* Are the brokers up"):
        async with EngineService.open("kafka://127.0.0.1:1/nobody", Registry()):
            pass
    assert time.monotonic() < begun + SECONDS


@pytest.mark.parametrize("how", ["killed", "silent"])
async def test_work_goes_on_by_itself_when_a_broker_that_was_away_is_back(
    mortal: Cluster, how: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (node,) = mortal.nodes
    location = await new_location(mortal.bootstrap)
    effects: list[Effect] = []
    registry = Registry()

    @registry.node("effect")
    async def effect(context: ContextObject, call: Call) -> None:
        effects.append(Effect(call.run_id, int(call.trace_id.rsplit(".", 1)[1]), call.attempt, "here"))
        await asyncio.sleep(PAUSE_SECONDS)
        context.set("done", call.attempt)

    properties = {**QUICK, "message.timeout.ms": ON_ITS_WAY_MILLISECONDS, "socket.timeout.ms": "1000"}
    views = Views.folded(tmp_path)
    async with EngineService.open(
        str(location), registry, executor=True, views=views, kafka_properties=properties
    ) as engine:
        await engine.publish_workflow(chain(code("a", "effect"), code("b", "effect"), END))
        load = _Load(engine)
        tasks = [asyncio.create_task(load.start_runs()) for _ in range(STARTERS)]
        await eventually(lambda: len(load.acknowledged) > 20, "runs before")
        assert engine.trouble == ""
        with caplog.at_level(logging.WARNING):
            await asyncio.to_thread(mortal.kill if how == "killed" else mortal.pause, node)
            await eventually(lambda: engine.trouble != "", "trouble that can be seen")
            print(engine.trouble)
            # Nothing can be waited for: this is how long it is away.
            await asyncio.sleep(AWAY_SECONDS[how])
            there = len(load.acknowledged)
            await asyncio.to_thread(mortal.restart if how == "killed" else mortal.resume, node)
            back = time.monotonic()
            await eventually(lambda: len(load.acknowledged) > there + 20, "runs afterwards", 2 * SECONDS)
            print(f"new runs {time.monotonic() - back:.1f} s after the broker was back")
            await eventually(lambda: engine.trouble == "", "no trouble any more")
        load.ending = True
        await asyncio.gather(*tasks)
        for run_id in load.acknowledged:
            run = await engine.wait_for_workflow_run(run_id, timeout=SECONDS)
            assert run.run_status is RunStatus.SUCCESS
            # Views go on by themselves too.
            await views.reach(run)
            assert await views.get_run(run_id) == run
        assert any(record.levelno >= logging.WARNING for record in caplog.records)
    await _check(location, load, effects)


async def test_each_loss_of_the_brokers_is_said_once_and_each_return_once_also_by_those_who_do_nothing(
    mortal: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    (node,) = mortal.nodes
    location = await new_location(mortal.bootstrap)
    said: list[str] = []
    with caplog.at_level(logging.INFO, "runline.kafka"):
        async with (
            EngineService.open(str(location), workflows_registry(), executor=True, kafka_properties=QUICK) as engine,
            EngineService.open(str(location)) as client,
        ):
            await eventually(lambda: executor_of(engine).owned == (0,), "the partition is taken over")
            for times in (1, 2):
                await asyncio.to_thread(mortal.kill, node)
                for each in (engine, client):
                    await eventually(lambda each=each: each.trouble != "", "trouble")  # type: ignore[misc]  # bound now
                    assert "no broker can be reached" in each.trouble
                # Nothing can be waited for: meanwhile the clients try to connect again and again.
                await asyncio.sleep(IDLE_SECONDS)
                await asyncio.to_thread(mortal.restart, node)
                for each in (engine, client):
                    await eventually(lambda each=each: each.trouble == "", "no trouble any more")  # type: ignore[misc]  # the same
                said = [record.getMessage() for record in caplog.records if record.name == "runline.kafka"]
                assert sum("no broker can be reached" in text for text in said) == 2 * times
                assert sum("answers again" in text for text in said) == 2 * times
    print("\n".join(said))
    assert len(said) < LINES_MAX


async def test_who_has_not_looked_into_a_partition_yet_is_told_that_the_brokers_are_away(
    mortal: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    (node,) = mortal.nodes
    location = await new_location(mortal.bootstrap)
    monkeypatch.setattr("engine.log.kafka.fetcher.KAFKA_ANSWER_SECONDS_MAX", 1)
    log = await KafkaLog.open(location)
    await asyncio.to_thread(mortal.kill, node)
    for asked in (log.ends(EVENTS, 0), log.read(EVENTS, 0, 0, 1), log.first_after(EVENTS, 0, 0)):
        with pytest.raises(LogUnreachableError, match="Are the brokers up"):
            await asked
    await asyncio.to_thread(mortal.restart, node)
    assert (await log.ends(EVENTS, 0)).end == 0
    await log.close()


class _Load:
    def __init__(self, engine: EngineService) -> None:
        self._engine = engine
        self.ending = False
        self.acknowledged: list[str] = []
        self.unknown = 0

    async def start_runs(self) -> None:
        while not self.ending:
            try:
                run_id = await self._engine.create_workflow_run("chain")
                await self._engine.start_workflow_run_and_notify(run_id)
                self.acknowledged.append(run_id)
            except LogError:
                # Sent, but not heard of: the caller cannot know what became of it.
                self.unknown += 1
            await asyncio.sleep(PAUSE_SECONDS)


async def _check(location: KafkaLocation, load: _Load, effects: list[Effect]) -> None:
    log = await KafkaLog.open(location)
    records = await read_all(log, EVENTS)
    await log.close()
    begun = {record.key for record in records if "run.started" in record.headers.get("types", "")}
    finished = [record for record in records if record.key in begun or record.headers["ce_type"] == "runline.fence"]
    assert check_runs(finished, load.acknowledged, effects) == []
    fences = sum(record.headers["ce_type"] == "runline.fence" for record in records)
    print(f"{len(load.acknowledged)} runs, {load.unknown} starts with an unknown outcome, {fences} fences")
