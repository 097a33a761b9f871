"""A long history: copies of real runs, each with an id, times and a chain of its own, as if they had run over weeks.

A million runs would take the engine minutes to run; copying their commits takes a tenth of that, and the log that comes
out is one that every reader accepts.
"""

import asyncio
import logging
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import NamedTuple

from benchmarks.workload import INPUT, step
from engine import Call, ContextObject, EngineService, Registry, WorkflowBuilder, WorkflowDefinition
from engine.core.identity import make_run_id
from engine.core.records import COMMIT, commit_id, fence_record
from engine.errors import LogError
from engine.log.embedded import EmbeddedLog
from engine.log.port import EVENTS, WORKFLOWS, Record

WORKFLOW_COUNT = 5
OUTCOMES = {"success": 20, "KeyError": 2, "ValueError": 2, "created": 1}
"""What becomes of runs, and how often: the last are never started."""
TAGS = ("", "", "", "nightly", "customer-7")
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
SPAN = timedelta(days=30)
"""Over which the runs are spread."""
AT_ONCE = 4_000
"""Records under way to the log."""


class Template(NamedTuple):
    """The commits of one real run.

    Attributes:
        run_id: Its id.
        commits: Value and headers of each.
        begun: The time of the first.
        outcome: What became of it, one of `OUTCOMES`.
    """

    run_id: str
    commits: list[Record]
    begun: datetime
    outcome: str


async def fail(context: ContextObject, call: Call) -> None:
    """Fail as the context asks for, or do what a small step does."""
    kind = context.get("input.outcome", str)
    if kind == "KeyError":
        raise KeyError("customer")
    if kind == "ValueError":
        raise ValueError("expected a price, but found nothing")
    await step(context, call)


def registry() -> Registry:
    """Return a registry with the steps."""
    made = Registry()
    made.node("step")(step)
    made.node("fail")(fail)
    return made


def workflows() -> list[WorkflowDefinition]:
    """Return workflows of three steps, the last of which may fail."""
    found = []
    for number in range(WORKFLOW_COUNT):
        builder = WorkflowBuilder(f"orders-{number}", f"Orders {number}").start()
        for name, function in (("first", "step"), ("second", "step"), ("third", "fail")):
            builder = builder.code(name, function=function)
        found.append(builder.end().build())
    return found


async def make_templates() -> tuple[list[Template], list[Record]]:
    """Run every kind of run once; return their commits, and the records of the workflows."""
    # The failures are wanted.
    logging.getLogger("runline").setLevel(logging.CRITICAL)
    outcomes: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="runline-bench-") as directory:
        async with EngineService.open(directory, registry(), durability="process") as engine:
            for definition in workflows():
                await engine.publish_workflow(definition)
            for definition in workflows():
                for outcome in OUTCOMES:
                    for tag in dict.fromkeys(TAGS):
                        run_id = await engine.create_workflow_run(definition.id, tags=(tag,) if tag else ())
                        outcomes[run_id] = outcome
                        if outcome != "created":
                            given = {"input": {**INPUT["input"], "outcome": outcome}}
                            await engine.start_workflow_run_and_wait(run_id, given)
        log = await EmbeddedLog.open_reading(directory)
        published = await log.read(WORKFLOWS, 0, 0, WORKFLOW_COUNT)
        end = (await log.ends(EVENTS, 0)).end
        commits: dict[str, list[Record]] = {}
        for record in await log.read(EVENTS, 0, 0, end):
            if record.headers["ce_type"] == COMMIT:
                commits.setdefault(record.key, []).append(Record(record.key, record.value, record.headers))
        await log.close()
    templates = [
        Template(run_id, found, datetime.fromisoformat(found[0].headers["ce_time"]), outcomes[run_id])
        for run_id, found in commits.items()
    ]
    return templates, [Record(record.key, record.value, record.headers) for record in published]


def copies(templates: Sequence[Template], runs: int, epoch: str, seed: int) -> Iterator[tuple[datetime, Record]]:
    """Yield the commits of so many runs, each with its time; the same for the same seed.

    Args:
        templates: What to copy, as often as `OUTCOMES` says.
        runs: How many.
        epoch: The epoch they were written under.
        seed: Chooses the kinds and the ids.
    """
    random = Random(seed)
    weights = [OUTCOMES[template.outcome] for template in templates]
    step_between = SPAN / runs
    for number in range(runs):
        (template,) = random.choices(templates, weights)
        created = BEGINNING + number * step_between
        shift = created - template.begun
        run_id = make_run_id(int(created.timestamp() * 1000), random.getrandbits(74))
        prev = "genesis"
        for commit in template.commits:
            moment = datetime.fromisoformat(commit.headers["ce_time"]) + shift
            time = moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
            value = commit.value.replace(template.run_id.encode(), run_id.encode())
            value = value.replace(commit.headers["ce_time"].encode(), time.encode(), 1)
            identity = commit_id(prev, epoch, value)
            headers = {
                **commit.headers,
                "ce_id": identity,
                "ce_subject": run_id,
                "ce_time": time,
                "correlationid": run_id,
                "epoch": epoch,
                "prev": prev,
            }
            prev = identity
            yield moment, Record(run_id, value, headers)


async def write_history(directory: Path, runs: int, seed: int) -> int:
    """Write an embedded log with so many runs; return how many events there are.

    Args:
        directory: Where the log is made.
        runs: How many.
        seed: Chooses their kinds and ids.
    """
    templates, published = await make_templates()
    moment = BEGINNING
    log = await EmbeddedLog.open(directory, durability="process", clock=lambda: moment.timestamp())  # noqa: PLW0108 - it moves on
    for record in published:
        await log.append(WORKFLOWS, 0, record)
    nonce = secrets.token_hex(8)
    fence = fence_record(nonce, executor="copies", source="/runline", time=_text(BEGINNING), checkpoint="none")
    offset = await log.append(EVENTS, 0, fence)
    events = 0
    for number, (moment, record) in enumerate(copies(templates, runs, f"{offset}:{nonce}", seed)):  # noqa: B007 - the clock looks at it
        events += record.headers["types"].count(",") + 1
        if number % AT_ONCE:
            log.send(EVENTS, 0, record, _failed)
        else:
            await log.append(EVENTS, 0, record)
    await log.close()
    return events


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _failed(error: LogError) -> None:
    raise SystemExit(f"the history cannot be written: {error}")


if __name__ == "__main__":
    print(asyncio.run(write_history(Path("data/history"), 10_000, 1)), "events")
