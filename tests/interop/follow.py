"""Programs in other languages find out which events count: `make interop` runs this file by its name."""

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from engine import EngineService, RunStatus
from engine.broker.jvm import JvmCluster
from engine.core.records import COMMIT, FENCE, NO_CHECKPOINT, commit_id, fence_record
from engine.executor import checkpointer
from engine.log.kafka import KafkaLocation, KafkaLog
from engine.log.partitioner import partition_of
from engine.log.port import EVENTS, LogRecord, Record
from examples.answer import WORKFLOW, registry
from tests.checkers import accepted_commits
from tests.docs.console import Session, steps
from tests.docs.pages import ROOT, blocks
from tests.interop.followers import Follower, lay_out
from tests.interop.programs import run_program
from tests.support.logs import new_location

PARTITIONS = 3
RUNS = 12
"""Five times as many are on every partition, some of them, by chance."""
EVENTS_OF_A_RUN = 9
WARNINGS = 20
VECTORS = ROOT / "schemas" / "acceptance-vectors.json"
NODE = ("node", "follow.mjs")
JAVA = ("java", "-cp", "libs/*", "Follow.java")
PAGE = ROOT / "docs" / "follow.md"
CONTEXT: dict[str, object] = {"input": {"prompt": "Who?", "user_id": 7}}


class Place(NamedTuple):
    """A directory with the programs, and what they need to run."""

    directory: Path
    environment: Mapping[str, str]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    directory = tmp_path / "programs"
    directory.mkdir()
    return Place(directory, lay_out(directory))


@pytest.fixture
async def location(broker: str) -> KafkaLocation:
    return await new_location(broker, PARTITIONS)


@pytest.fixture
async def log(location: KafkaLocation) -> AsyncIterator[KafkaLog]:
    log = await KafkaLog.open(location)
    yield log
    await log.close()


async def read(log: KafkaLog, partition: int) -> list[LogRecord]:
    end = (await log.ends(EVENTS, partition)).end
    return list(await log.read(EVENTS, partition, 0, end))


async def do_runs(location: KafkaLocation, count: int = RUNS) -> list[str]:
    """Run a workflow some times, under an executor of its own, and return the ids of the runs."""
    async with EngineService.open(str(location), registry) as engine:
        await engine.publish_workflow(WORKFLOW)
        runs = [await engine.create_workflow_run("example") for _ in range(count)]
        done = [await engine.start_workflow_run_and_wait(run_id, CONTEXT, 60) for run_id in runs]
    assert [run.run_status for run in done] == [RunStatus.SUCCESS] * count
    return runs


async def add_what_does_not_count(log: KafkaLog, *, hashed: bool) -> None:
    """Put copies, late commits, forged ones and nonsense behind what is there; with wrong ids only if asked to."""
    for partition in range(PARTITIONS):
        records = await read(log, partition)
        commits = [record for record in records if record.headers["ce_type"] == COMMIT]
        fence = next(record for record in records if record.headers["ce_type"] == FENCE)
        for commit in (commits[0], commits[-1]):
            await log.append(EVENTS, partition, Record(commit.key, commit.value, commit.headers))
        # The first executor writes on, though the second one's fence is behind its own.
        old = f"{fence.offset}:{fence.headers['nonce']}"
        zombie = {"epoch": old, "prev": "genesis", "ce_id": commit_id("genesis", old, commits[0].value)}
        await log.append(EVENTS, partition, Record("zombie", commits[0].value, {**commits[0].headers, **zombie}))
        if hashed:
            last = {**commits[0].headers, "epoch": (await last_epoch(log, partition)), "ce_id": "f" * 64}
            await log.append(EVENTS, partition, Record("forged", commits[0].value, last))
        await log.append(EVENTS, partition, Record("", b"\xff", {}))


async def last_epoch(log: KafkaLog, partition: int) -> str:
    fence = [record for record in await read(log, partition) if record.headers.get("ce_type") == FENCE][-1]
    return f"{fence.offset}:{fence.headers['nonce']}"


async def events_of(log: KafkaLog) -> dict[str, list[str]]:
    """Return the types of each run's events that count, by the checkers' own writing of the rule."""
    found: dict[str, list[str]] = {}
    for partition in range(PARTITIONS):
        ours = [record for record in await read(log, partition) if "ce_type" in record.headers]
        for run, commits in accepted_commits(ours).items():
            found[run] = [event["type"] for commit in commits for event in commit["events"]]
    return found


def by_run(lines: Iterable[str]) -> dict[str, list[str]]:
    """Return the types that a program has printed, by run, in order; each event is there once."""
    found: dict[str, list[str]] = defaultdict(list)
    places = set()
    for line in lines:
        run, place, kind = line.split(" ")
        assert place not in places, f"{place} was printed twice"
        places.add(place)
        found[run].append(kind)
    return found


@pytest.mark.parametrize("program", [NODE, JAVA], ids=["node", "java"])
async def test_a_program_passes_the_acceptance_vectors(program: tuple[str, ...], place: Place) -> None:
    async with Follower([*program, "--vectors", str(VECTORS)], *place) as follower:
        (line,) = await follower.lines(1)
    found = json.loads(line)
    expected = []
    for vector in json.loads(VECTORS.read_text(encoding="utf-8"))["vectors"]:
        accepted = [record["offset"] for record in vector["records"] if record["accepted"]]
        begins = [
            {**each, "accepted": [offset for offset in accepted if offset >= each["position"]]}
            for each in vector["begins"]
        ]
        expected.append({"name": vector["name"], "accepted": accepted, "begins": begins})
        expected[-1] |= {"epoch": vector["epoch"], "heads": vector["heads"]}
    assert found == expected


@pytest.mark.parametrize("program", [NODE, JAVA], ids=["node", "java"])
async def test_a_program_prints_every_event_that_counts_and_no_other(
    program: tuple[str, ...], place: Place, location: KafkaLocation, log: KafkaLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpointer, "CHECKPOINT_BYTES_MIN", 3_000)
    await do_runs(location)
    await do_runs(location)
    await add_what_does_not_count(log, hashed=True)
    async with Follower([*program, location.brokers, location.prefix], *place) as follower:
        before = await events_of(log)
        lines = await follower.lines(sum(map(len, before.values())))
        assert by_run(lines) == before
        # It goes on with what comes, under the next executor.
        new = await do_runs(location)
        after = await events_of(log)
        more = await follower.lines(sum(len(after[run]) for run in new))
    assert by_run([*lines, *more]) == after
    assert len(after) == 3 * RUNS
    kinds = [record.headers.get("ce_type") for number in range(PARTITIONS) for record in await read(log, number)]
    assert kinds.count("runline.checkpoint") > PARTITIONS, "they were passed over"


@pytest.mark.parametrize("program", [NODE, JAVA], ids=["node", "java"])
async def test_a_program_begins_at_checkpoints_and_prints_what_comes(
    program: tuple[str, ...], place: Place, location: KafkaLocation, log: KafkaLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpointer, "CHECKPOINT_BYTES_MIN", 3_000)
    async with EngineService.open(str(location), registry) as engine:
        await engine.publish_workflow(WORKFLOW)
        waiting = [await engine.create_workflow_run("example") for _ in range(RUNS)]
    await do_runs(location, 5 * RUNS)
    before = await events_of(log)
    async with Follower([*program, location.brokers, location.prefix, "--now"], *place) as follower:
        said = await follower.said()
        offsets = re.findall(r"(?:\d=)?(\d+)", said.removeprefix("from now on; read from the offsets "))
        assert len(offsets) == PARTITIONS, said
        assert all(int(offset) > 0 for offset in offsets), said
        async with EngineService.open(str(location), registry) as engine:
            done = [await engine.start_workflow_run_and_wait(run_id, CONTEXT, 60) for run_id in waiting]
        after = await events_of(log)
        lines = await follower.lines(sum(map(len, after.values())) - sum(map(len, before.values())))
    assert [run.run_status for run in done] == [RunStatus.SUCCESS] * RUNS
    # They were created before: their heads are in the checkpoints.
    assert by_run(lines) == {run: after[run][len(before[run]) :] for run in waiting}


async def test_kcat_and_jq_print_what_counts(place: Place, location: KafkaLocation, log: KafkaLog) -> None:
    await do_runs(location)
    await do_runs(location)
    await add_what_does_not_count(log, hashed=False)
    command = f"kcat -C -b {location.brokers} -t {location.topic(EVENTS)} -J -u -e -q | jq -rn -f counts.jq"
    done = await run_program(["/bin/sh", "-c", command], directory=place.directory)
    assert (done.code, done.errors) == (0, "")
    found: dict[str, list[str]] = defaultdict(list)
    for line in done.out.splitlines():
        run, types = line.split(" ")
        found[run].extend(types.split(","))
    assert found == await events_of(log)
    assert len(found) == 2 * RUNS


async def test_another_epoch_is_seen_by_all_of_them(place: Place, location: KafkaLocation, log: KafkaLog) -> None:
    """A fence by nobody: what the engine has written before counts, and what it would write under its own epoch not."""
    (run_id,) = await do_runs(location, 1)
    partition = partition_of(run_id, PARTITIONS)
    records = await read(log, partition)
    epoch = await last_epoch(log, partition)
    fence = fence_record("nobody", executor="nobody", source="/", time="2026-11-23T08:00:00Z", checkpoint=NO_CHECKPOINT)
    await log.append(EVENTS, partition, fence)
    first = next(record for record in records if record.headers["ce_type"] == COMMIT)
    value = first.value.replace(run_id.encode(), b"later")
    late = {**first.headers, "ce_subject": "later", "ce_id": commit_id("genesis", epoch, value)}
    await log.append(EVENTS, partition, Record("later", value, late))
    now = await last_epoch(log, partition)
    right = {**first.headers, "ce_subject": "right", "epoch": now}
    value = first.value.replace(run_id.encode(), b"right")
    await log.append(EVENTS, partition, Record("right", value, {**right, "ce_id": commit_id("genesis", now, value)}))
    expected = await events_of(log)
    assert set(expected) == {run_id, "right"}
    count = sum(map(len, expected.values()))
    for program in (NODE, JAVA):
        async with Follower([*program, location.brokers, location.prefix], *place) as follower:
            assert by_run(await follower.lines(count)) == expected


async def test_programs_wait_for_a_broker_that_is_away_and_go_on(place: Place) -> None:
    with JvmCluster(short_lived=True) as cluster:
        location = await new_location(cluster.bootstrap, PARTITIONS)
        await do_runs(location)
        commands = [[*program, location.brokers, location.prefix] for program in (NODE, JAVA)]
        async with Follower(commands[0], *place) as node, Follower(commands[1], *place) as java:
            lines = await asyncio.gather(*(each.lines(RUNS * EVENTS_OF_A_RUN) for each in (node, java)))
            await asyncio.to_thread(cluster.kill, *cluster.nodes)
            # Java's client says each second that it does not reach it.
            said = [await java.said() for _ in range(WARNINGS)]
            await asyncio.to_thread(cluster.restart, *cluster.nodes)
            await do_runs(location)
            more = await asyncio.gather(*(each.lines(RUNS * EVENTS_OF_A_RUN) for each in (node, java)))
        log = await KafkaLog.open(location)
        expected = await events_of(log)
        await log.close()
    assert any("could not be established" in each for each in said)
    assert len(expected) == 2 * RUNS
    assert [by_run([*first, *then]) for first, then in zip(lines, more, strict=True)] == [expected] * 2


async def test_the_page_shows_what_the_programs_print(location: KafkaLocation, place: Place, tmp_path: Path) -> None:
    await do_runs(location, 1)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("node", "java", "kcat", "jq"):
        (programs / name).symlink_to(str(which(name, place.environment)))
    shown = {"127.0.0.1:9092": location.brokers, "shop": location.prefix}
    session = Session(place.directory, programs, shown)
    (place.directory / "acceptance-vectors.json").symlink_to(VECTORS)
    sessions = [block for block in blocks(PAGE, "console") if block.mark != "not run"]
    assert len(sessions) >= 4
    for block in sessions:
        for step in steps(block.text, block.line):
            if "another terminal" in block.mark:
                with session.other_terminal(step):
                    pass
            else:
                await asyncio.to_thread(session.check, step)


def which(name: str, environment: Mapping[str, str]) -> Path:
    found = [Path(part) / name for part in environment["PATH"].split(":") if (Path(part) / name).exists()]
    return found[0]
