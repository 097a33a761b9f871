"""What services heard or wrote, compared with what the log says that there was to hear."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar, cast

import orjson
import standardwebhooks
from sqlalchemy import create_engine, text

from consumers.host.wanted import STATUS_OF
from consumers.sql import RunsTable
from engine.log.port import EVENTS, Log
from tests.checkers import accepted_commits
from tests.consumers.receiving import Receiver

KeyT = TypeVar("KeyT", bound=Hashable)


class Told(NamedTuple):
    """One change, as the log has it.

    Attributes:
        event_id: `<commit id>.<index>`.
        type: The event's type.
        trace: The number of the trace that it changes, or None for the run.
    """

    event_id: str
    type: str
    trace: int | None

    @property
    def line(self) -> tuple[str, int | None, str]:
        """What a log line tells of it: the commit, the trace and the status."""
        return self.event_id.partition(".")[0], self.trace, STATUS_OF[self.type.partition(".")[2]].value


async def read_told(log: Log) -> dict[str, list[Told]]:
    """Return each run's changes in order, by the checkers' own writing of the rule."""
    found: dict[str, list[Told]] = {}
    for number in range(log.partitions):
        records = list(await log.read(EVENTS, number, 0, (await log.ends(EVENTS, number)).end))
        for run_id, commits in accepted_commits(records).items():
            own = [record.headers["ce_id"] for record in records if record.key == run_id]
            assert len(own) == len(commits), "nobody but the engine has written"
            found[run_id] = [
                Told(f"{commit}.{index}", str(event["type"]), cast("int | None", event.get("trace")))
                for commit, value in zip(own, commits, strict=True)
                for index, event in enumerate(cast("list[dict[str, object]]", value["events"]))
                if event["type"] != "command.refused"
            ]
    return found


def check_in_order(heard: Mapping[str, Sequence[KeyT]], expected: Mapping[str, Sequence[KeyT]]) -> float:
    """Check that every change of every run was heard, in order; return how often on average.

    A run only ever goes one change on, or back to one that was heard before.
    """
    assert heard.keys() == expected.keys()
    for run_id, order in expected.items():
        assert list(dict.fromkeys(heard[run_id])) == list(order), run_id
        places, furthest = {key: place for place, key in enumerate(order)}, -1
        for key in heard[run_id]:
            assert places[key] <= furthest + 1, run_id
            furthest = max(furthest, places[key])
    return sum(map(len, heard.values())) / sum(map(len, expected.values()))


def check_book(told: Mapping[str, Sequence[Told]], path: Path) -> float:
    """Check a file with a line `EVENT RUN` for each change that was heard."""
    heard = _by_run((run_id, event) for event, run_id in (line.split() for line in path.read_text().splitlines()))
    return check_in_order(heard, {run_id: [each.event_id for each in order] for run_id, order in told.items()})


def check_lines(told: Mapping[str, Sequence[Told]], path: Path) -> float:
    """Check what `LogLines` has written."""
    lines = [orjson.loads(line) for line in path.read_text().splitlines()]
    heard = _by_run(
        (line["run_id"], (line["commit_id"], _number(line.get("trace_id")), line["status"])) for line in lines
    )
    return check_in_order(heard, {run_id: [each.line for each in order] for run_id, order in told.items()})


def check_hook(told: Mapping[str, Sequence[Told]], receiver: Receiver, secret: str) -> float:
    """Check what a `Webhook` has sent, and every signature."""
    messages = [standardwebhooks.Webhook(secret).verify(each.body, each.headers) for each in receiver.requests]
    heard = _by_run((message["data"]["run_id"], message["event_id"]) for message in messages)
    return check_in_order(heard, {run_id: [each.event_id for each in order] for run_id, order in told.items()})


def check_database(told: Mapping[str, Sequence[Told]], url: str) -> None:
    """Check that a `Ledger` has every change once, and that the rows of a `RunsTable` are those of the last changes."""
    engine = create_engine(url)
    tables = RunsTable(engine, traces="traces")
    assert tables.traces is not None
    with engine.connect() as connection:
        entered = Counter(row.event_id for row in connection.execute(text("select * from entries")))
        runs = {row.run_id: (row.event_id, row.status) for row in connection.execute(tables.runs.select())}
        traces = {(row.run_id, row.number): row.event_id for row in connection.execute(tables.traces.select())}
    engine.dispose()
    assert entered == Counter(each.event_id for order in told.values() for each in order)
    last = {run_id: [each for each in order if each.trace is None][-1] for run_id, order in told.items()}
    assert runs == {run_id: (each.event_id, each.line[2]) for run_id, each in last.items()}
    changed = ((run_id, each) for run_id, order in told.items() for each in order if each.trace is not None)
    assert traces == {(run_id, each.trace): each.event_id for run_id, each in changed}


def _by_run(pairs: Iterable[tuple[str, KeyT]]) -> dict[str, list[KeyT]]:
    found: dict[str, list[KeyT]] = defaultdict(list)
    for run_id, key in pairs:
        found[run_id].append(key)
    return dict(found)


def _number(trace_id: str | None) -> int | None:
    return None if trace_id is None else int(trace_id.rpartition(".")[2])
