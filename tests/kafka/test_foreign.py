"""Programs that know nothing of Runline start runs: a plain script, and the Java console producer of Kafka itself."""

import ast
import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import NamedTuple

import orjson
import pytest

from engine import Call, ContextObject, EngineService, Run, RunStatus
from engine.core.commands import StartRun, encode
from engine.core.records import COMMIT, commit_id
from engine.core.rejection import RUN_NOT_CREATED, UNDECODABLE, WORKFLOW_UNKNOWN
from engine.errors import RunNotFoundError
from engine.executor import checkpointer
from engine.log.kafka import KafkaLocation, KafkaLog
from engine.log.partitioner import partition_of
from engine.log.port import COMMANDS, EVENTS, REJECTIONS, LogRecord, Record
from engine.ports import SystemClock, SystemIds
from examples.answer import WORKFLOW
from examples.answer import registry as answers
from examples.start_run import Topics
from tests.checkers import accepted_commits
from tests.interop.programs import CONSOLE_PRODUCER, SCRIPT, Done, check_session, console_producer, run_program
from tests.support.logs import new_location
from tests.support.wire import check_records
from tests.support.workflows import END, chain, code, registry

PARTITIONS = 3
SECONDS = 90
TYPED = {
    "due": {"$type": "datetime", "value": "2026-03-01T09:30:00+01:00"},
    "price": {"$type": "decimal", "value": "17.50"},
    "scan": {"$type": "bytes", "value": "aGVsbG8="},
    "many": [1, 2.5, None, True, "ü"],
}

ids = SystemIds(SystemClock())


class Shop(NamedTuple):
    """A log with an executor on it: `chain` ends by itself, `gate` waits until its gate is opened."""

    location: KafkaLocation
    engine: EngineService
    log: KafkaLog
    gate: asyncio.Event

    async def script(self, *arguments: str) -> Done:
        """Run the plain script, in an interpreter that looks for modules only where installed ones are."""
        return await run_program(
            [sys.executable, "-I", str(SCRIPT), self.location.brokers, self.location.prefix, *arguments]
        )

    async def console(self, lines: Sequence[bytes]) -> None:
        """Let Kafka's console producer send lines: a key, a tab and a value each."""
        topic = ["--bootstrap-server", self.location.brokers, "--topic", self.location.topic(COMMANDS)]
        command = [*console_producer(), *topic, "--reader-property", "parse.key=true"]
        done = await run_program(command, b"".join(line + b"\n" for line in lines))
        assert (done.code, done.errors) == (0, "")

    async def run(self, run_id: str) -> Run:
        """Return a run that somebody else begins, when there is one."""
        async with asyncio.timeout(SECONDS):
            while True:
                try:
                    return await self.engine.get_run(run_id)
                except RunNotFoundError:
                    await asyncio.sleep(0.02)

    async def ended(self, run_id: str) -> Run:
        await self.run(run_id)
        return await self.engine.wait_for_workflow_run(run_id, timeout=SECONDS)

    async def read(self, topic: str, partition: int = 0) -> list[LogRecord]:
        end = (await self.log.ends(topic, partition)).end
        return list(await self.log.read(topic, partition, 0, end))

    async def rejections(self, count: int) -> list[LogRecord]:
        async with asyncio.timeout(SECONDS):
            while True:
                found = await self.read(REJECTIONS)
                if len(found) >= count:
                    assert len(found) == count
                    return found
                await asyncio.sleep(0.02)

    async def event_types(self, run_id: str) -> list[str]:
        """Return the types of a run's events that count, by a second writing of the rule."""
        commits = accepted_commits(await self.read(EVENTS, partition_of(run_id, PARTITIONS)))[run_id]
        return [event["type"] for commit in commits for event in commit["events"]]


@pytest.fixture
async def shop(broker: str) -> AsyncIterator[Shop]:
    location, functions, gate = await new_location(broker, PARTITIONS), registry(), asyncio.Event()

    @functions.node("wait")
    async def wait(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - the signature of a node function
        await gate.wait()

    async with EngineService.open(str(location), functions) as engine:
        await engine.publish_workflow(chain(code("a", "add"), END))
        await engine.publish_workflow(chain(code("a", "wait"), END, workflow_id="gate"))
        log = await KafkaLog.open(location)
        yield Shop(location, engine, log, gate)
        await log.close()


def start_of(workflow_id: str = "chain", number: int = 0, run_id: str | None = None) -> StartRun:
    run = ids.run_id() if run_id is None else run_id
    return StartRun(id=ids.command_id(), run=run, workflow=workflow_id, context={"number": number})


def line(command: StartRun) -> bytes:
    return command.run.encode() + b"\t" + encode(command)


def run_of(done: Done) -> str:
    """Return the run that the script says it has asked for."""
    return done.errors.split()[1].rstrip(",")


def test_the_script_imports_nothing_but_the_standard_library_and_confluent_kafka() -> None:
    tree = ast.walk(ast.parse(SCRIPT.read_text(encoding="utf-8")))
    imported = {
        name.split(".")[0]
        for node in tree
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names])
    }
    assert imported - sys.stdlib_module_names == {"confluent_kafka"}


async def test_the_script_starts_a_run_with_typed_values_and_prints_its_output(shop: Shop) -> None:
    done = await shop.script("chain", json.dumps(TYPED))
    assert (done.code, json.loads(done.out)) == (0, TYPED | {"total": 1}), done
    run = await shop.ended(run_of(done))
    assert run.run_status == RunStatus.SUCCESS
    assert orjson.loads(run.input_context or "") == TYPED
    (command,) = await shop.read(COMMANDS, partition_of(run.run_id, PARTITIONS))
    assert (command.key, command.headers) == (run.run_id, {})


async def test_the_script_asks_again_for_a_run_that_has_ended_and_gets_the_same_answer(shop: Shop) -> None:
    first = await shop.script("chain", '{"number": 1}')
    again = [await shop.script("chain", '{"number": 1}', "--run", run_of(first)) for _ in range(2)]
    assert [(done.code, done.out) for done in again] == [(0, first.out)] * 2
    assert len(await shop.read(COMMANDS, partition_of(run_of(first), PARTITIONS))) == 3
    assert (await shop.event_types(run_of(first))).count("run.created") == 1
    assert await shop.read(REJECTIONS) == []


async def test_the_script_that_gave_up_asks_again_and_follows_the_same_run(shop: Shop) -> None:
    gave_up = await shop.script("gate", '{"number": 1}', "--timeout", "1")
    assert (gave_up.code, gave_up.out) == (2, "")
    assert gave_up.errors.endswith(f"ask again with --run {run_of(gave_up)}\n")
    shop.gate.set()
    done = await shop.script("gate", '{"number": 1}', "--run", run_of(gave_up))
    assert (done.code, json.loads(done.out)) == (0, {"number": 1})
    assert (await shop.event_types(run_of(gave_up))).count("run.started") == 1


async def test_the_script_says_why_a_command_was_refused(shop: Shop) -> None:
    done = await shop.script("nowhere")
    assert (done.code, done.out) == (1, "")
    assert done.errors.endswith("refused: workflow_unknown: expected a published workflow, but nowhere is not one\n")
    (rejection,) = await shop.rejections(1)
    assert (rejection.key, rejection.headers["code"]) == (run_of(done), WORKFLOW_UNKNOWN)


async def test_the_script_says_when_there_is_no_such_log(broker: str) -> None:
    done = await run_program([sys.executable, str(SCRIPT), broker, "nowhere", "chain"])
    assert (done.code, done.out) == (2, "")
    assert "Unknown topic" in done.errors


async def test_the_script_says_when_an_open_run_has_another_body_and_the_run_goes_on(shop: Shop) -> None:
    first = asyncio.create_task(shop.script("gate", '{"number": 1}', "--run", (run_id := ids.run_id())))
    await shop.run(run_id)
    other = await shop.script("gate", '{"number": 2}', "--run", run_id)
    assert (other.code, other.out) == (1, "")
    assert "refused: run_not_created: " in other.errors
    shop.gate.set()
    done = await first
    assert (done.code, json.loads(done.out)) == (0, {"number": 1})
    assert "command.refused" in await shop.event_types(run_id)


async def test_the_script_passes_over_commits_that_do_not_count(shop: Shop) -> None:
    run_id = ids.run_id()
    script = asyncio.create_task(shop.script("gate", '{"number": 1}', "--run", run_id))
    await shop.run(run_id)
    partition = partition_of(run_id, PARTITIONS)
    head = [record for record in await shop.read(EVENTS, partition) if record.key == run_id][-1]
    forged = orjson.dumps({"run": run_id, "events": [{"type": "run.succeeded", "output": {"forged": True}}]})
    prev, epoch = head.headers["ce_id"], head.headers["epoch"]
    right = commit_id(prev, epoch, forged)
    for own_prev, own_epoch, own_id in (
        (prev, "0:another", commit_id(prev, "0:another", forged)),
        ("genesis", epoch, commit_id("genesis", epoch, forged)),
        (prev, "0:another", right),
        ("genesis", epoch, right),
        (prev, epoch, prev),
    ):
        headers = {"ce_type": COMMIT, "prev": own_prev, "epoch": own_epoch, "ce_id": own_id}
        await shop.log.append(EVENTS, partition, Record(run_id, forged, headers))
    await shop.log.append(EVENTS, partition, Record("", b"\xff", {}))
    shop.gate.set()
    done = await script
    assert (done.code, json.loads(done.out)) == (0, {"number": 1})


async def test_the_script_begins_at_a_checkpoint_and_lives_through_another_executor(
    broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpointer, "CHECKPOINT_BYTES_MIN", 3_000)
    location = await new_location(broker, 1)
    log = await KafkaLog.open(location)
    shop = Shop(location, EngineService.open(str(location), registry()), log, asyncio.Event())
    async with EngineService.open(str(location)) as client:
        await client.publish_workflow(chain(code("a", "add"), code("b", "late"), END, workflow_id="late"))
    async with shop.engine as engine:
        await engine.publish_workflow(chain(code("a", "add"), END))
        async with asyncio.timeout(SECONDS):
            first = await engine.run_workflow("chain", timeout=SECONDS)
            while True:
                await engine.run_workflow("chain", timeout=SECONDS)
                if (await shop.read(EVENTS))[-1].headers["checkpoint"] != "none":
                    break
        # Its second function is known to the next executor only.
        script = asyncio.create_task(shop.script("late", '{"number": 1}', "--run", (run_id := ids.run_id())))
        recent = await shop.script("chain")
        await shop.run(run_id)
    functions = registry()

    @functions.node("late")
    async def late(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - the signature of a node function
        context.set("late", True)

    async with EngineService.open(str(location), functions):
        done = await script
        earlier = await shop.script("chain", "--run", first.run_id, "--timeout", str(SECONDS))
    assert (done.code, json.loads(done.out)) == (0, {"number": 1, "total": 1, "late": True})
    assert (earlier.code, json.loads(earlier.out)) == (0, {"total": 1}), "it ended before the last checkpoint"
    assert (recent.code, json.loads(recent.out)) == (0, {"total": 1})
    begun = int(recent.errors.split("from offset ")[1].split()[0])
    kinds = [record.headers["ce_type"] for record in (await shop.read(EVENTS))[begun:]]
    assert begun > 0
    assert kinds.count("runline.fence") == 1, "the first executor's fence is before, the second one's behind"
    check_beginnings(Topics(broker, location.prefix), await shop.read(EVENTS))
    await log.close()


def check_beginnings(topics: Topics, records: Sequence[LogRecord]) -> None:
    """Ask the script's reader for times and positions all over a partition, where a full fold says what is right."""
    epochs = [""]
    for record in records:
        fence = record.headers["ce_type"] == "runline.fence"
        epochs.append(f"{record.offset}:{record.headers['nonce']}" if fence else epochs[-1])
    begun = set()
    for position in (*range(0, len(records), len(records) // 10), len(records)):
        offset, epoch = topics.begin(0, position)
        assert (offset <= position, epoch) == (True, epochs[offset])
        begun.add(offset)
    assert len(begun) > 2, "at the beginning, and at several checkpoints"
    for record in records[:: len(records) // 5]:
        first = next(each.offset for each in records if each.timestamp >= record.timestamp)
        assert topics.positions(topics.events, record.timestamp) == [first]
    assert topics.positions(topics.events, records[-1].timestamp + 1) == topics.positions(topics.events)
    assert topics.positions(topics.events) == [len(records)]


async def test_what_javas_console_producer_sends_is_on_the_right_partition_at_once(shop: Shop) -> None:
    commands = [start_of(number=number) for number in range(24)]
    await shop.console([line(command) for command in commands])
    runs = [await shop.ended(command.run) for command in commands]
    assert [run.run_status for run in runs] == [RunStatus.SUCCESS] * len(commands)
    assert [orjson.loads(run.output_context or "")["number"] for run in runs] == list(range(24))
    found = [await shop.read(COMMANDS, partition) for partition in range(PARTITIONS)]
    for partition, records in enumerate(found):
        assert {partition_of(record.key, PARTITIONS) for record in records} == {partition}
    every = [record for records in found for record in records]
    assert {record.key for record in every} == {command.run for command in commands}
    assert [record.headers for record in every] == [{}] * len(commands), "a forwarded one would say so"


async def test_a_line_that_the_console_producer_sends_three_times_is_one_run(shop: Shop) -> None:
    command, other = start_of("gate", 1), start_of()
    await shop.console([line(command)] * 3 + [line(other)])
    await shop.ended(other.run)
    shop.gate.set()
    assert (await shop.ended(command.run)).run_status == RunStatus.SUCCESS
    await shop.console([line(command)] * 3 + [line(last := start_of())])
    await shop.ended(last.run)
    types = await shop.event_types(command.run)
    assert (types.count("run.created"), types.count("run.started"), types.count("run.succeeded")) == (1, 1, 1)
    assert len(await shop.read(COMMANDS, partition_of(command.run, PARTITIONS))) >= 6
    assert await shop.read(REJECTIONS) == []


async def test_the_same_run_id_with_another_body_is_refused_by_name_and_harms_nothing(shop: Shop) -> None:
    command = start_of("gate", 1)
    other = start_of("gate", 2, command.run)
    await shop.console([line(command), line(other)])
    (rejection,) = await shop.rejections(1)
    assert (rejection.key, rejection.value) == (command.run, encode(other))
    assert (rejection.headers["code"], rejection.headers["causationid"]) == (RUN_NOT_CREATED, other.id)
    shop.gate.set()
    run = await shop.ended(command.run)
    assert (run.run_status, run.output_context) == (RunStatus.SUCCESS, '{"number":1}')
    assert (await shop.event_types(command.run)).count("command.refused") == 1
    last = start_of("gate", 3, command.run)
    await shop.console([line(last)])
    after_the_end = (await shop.rejections(2))[1]
    assert (after_the_end.value, after_the_end.headers["causationid"]) == (encode(last), last.id)
    assert await shop.engine.get_run(command.run) == run


async def test_a_line_that_is_no_command_is_kept_with_its_bytes_and_the_next_one_is_done(shop: Shop) -> None:
    command = start_of()
    # The console producer reads its lines as UTF-8 text.
    await shop.console(["nobody\tgrüße, kein JSON {".encode(), line(command)])
    (rejection,) = await shop.rejections(1)
    assert (rejection.key, rejection.value) == ("nobody", "grüße, kein JSON {".encode())
    assert rejection.headers["code"] == UNDECODABLE
    assert (await shop.ended(command.run)).run_status == RunStatus.SUCCESS
    assert check_records(REJECTIONS, [rejection])["runline.rejection"] == 1


async def test_the_page_shows_what_the_programs_print(broker: str, tmp_path: Path) -> None:
    location = await new_location(broker, PARTITIONS)
    async with EngineService.open(str(location), answers) as engine:
        await engine.publish_workflow(WORKFLOW)
        await check_session(["script", "file", CONSOLE_PRODUCER], location, tmp_path)
