"""A history: a recorded log, what its views showed, and what was found in it, as files of a directory.

`log.jsonl` has a line for each record, as it stood on the log. `views.jsonl` has a line for each thing that the views
show, for people to read and to compare. `history.json` says where the log is from and what else must come out of it.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

from engine.log.embedded import EmbeddedLog
from engine.log.place import places
from engine.log.port import Log, LogRecord, Record
from tests.simulation.log import SimulatedLog

RECORDED: Final = Path(__file__).parent / "recorded"
"""Where the histories are."""
LOG: Final = "log.jsonl"
VIEWS: Final = "views.jsonl"
ABOUT: Final = "history.json"
_READ_AT_ONCE: Final = 500


class Placed(NamedTuple):
    """A record and where it stood."""

    topic: str
    partition: int
    record: LogRecord


class Family(NamedTuple):
    """The rows of one family of the views.

    Attributes:
        version: Of the projection that wrote them; another version may write other rows.
        rows: How many there are.
        sha256: Over all keys and values, in hex.
    """

    version: int
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Decisions:
    """What came of deciding it once more.

    Attributes:
        runs: How many were looked at.
        compared: Commits that were decided once more.
        taken_over: What was taken over from the record, and how many times.
        differences: Where another decision would be made: the event's id, and why that is right.
        unreadable: Runs that cannot be read, and why that is right.
    """

    runs: int
    compared: int
    taken_over: Mapping[str, int]
    differences: Mapping[str, str] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class About:
    """What is known of a history.

    Attributes:
        title: What is in it, for people.
        recorded: When, and by which commit of this repository.
        partitions: Of the log's `commands` and `events`.
        families: The rows of the views, by their family.
        decisions: What came of deciding it once more.
        violations: What the audit finds by rule, and how often; nothing in what engines wrote.
    """

    title: str
    recorded: Mapping[str, str]
    partitions: int
    families: Mapping[str, Family]
    decisions: Decisions
    violations: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class History:
    """A recorded log and what must come out of it.

    Attributes:
        name: The directory's name.
        about: What is known of it.
        records: The log, one partition after the other.
        views: What the views show, one JSON document for each thing.
    """

    name: str
    about: About
    records: Sequence[Placed]
    views: Sequence[str]


def names(directory: Path = RECORDED) -> list[str]:
    """Return the names of all histories."""
    return sorted(path.parent.name for path in directory.glob(f"*/{ABOUT}"))


def load(name: str, directory: Path = RECORDED) -> History:
    """Return a history."""
    place = directory / name
    given = json.loads((place / ABOUT).read_text("utf-8"))
    families = {name: Family(**family) for name, family in given.pop("families").items()}
    about = About(**given | {"families": families, "decisions": Decisions(**given["decisions"])})
    records = [_read(line) for line in _lines_in(place / LOG)]
    return History(name, about, records, _lines_in(place / VIEWS))


def save(history: History, directory: Path = RECORDED) -> None:
    """Write a history; one of this name is written over."""
    place = directory / history.name
    place.mkdir(parents=True, exist_ok=True)
    about = asdict(history.about)
    about["families"] = {name: family._asdict() for name, family in history.about.families.items()}
    (place / ABOUT).write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", "utf-8")
    (place / LOG).write_text(_lines(map(_written, history.records)), "utf-8")
    (place / VIEWS).write_text(_lines(history.views), "utf-8")


def _lines_in(path: Path) -> list[str]:
    # Not `splitlines`: texts in contexts may hold other ends of lines.
    return path.read_text("utf-8").split("\n")[:-1]


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _written(placed: Placed) -> str:
    record = placed.record
    try:
        value: object = record.value.decode()
    except UnicodeDecodeError:
        value = {"base64": b64encode(record.value).decode()}
    line = {
        "topic": placed.topic,
        "partition": placed.partition,
        "offset": record.offset,
        "time": record.timestamp,
        "key": record.key,
        "headers": dict(record.headers),
        "value": value,
    }
    return json.dumps(line, ensure_ascii=False, separators=(",", ":"))


def _read(line: str) -> Placed:
    given = json.loads(line)
    value = given["value"]
    data = b64decode(value["base64"]) if isinstance(value, dict) else value.encode()
    record = LogRecord(given["offset"], given["time"], given["key"], data, given["headers"])
    return Placed(given["topic"], given["partition"], record)


async def read_log(log: Log) -> list[Placed]:
    """Return all that a log holds, one partition after the other."""
    found: list[Placed] = []
    for topic, number in places(log.partitions):
        offset, end = await log.ends(topic, number)
        while offset < end:
            records = await log.read(topic, number, offset, _READ_AT_ONCE)
            found += [Placed(topic, number, record) for record in records]
            offset = records[-1].offset + 1
    return found


class _Past:
    """A clock that shows the time of what is being written."""

    def __init__(self) -> None:
        self.milliseconds = 0

    def seconds(self) -> float:
        # A little more, so that no fraction is lost on the way to milliseconds.
        return (self.milliseconds + 0.5) / 1000


def simulated(history: History, *, shared: bool = False) -> SimulatedLog:
    """Return the history as a log in memory."""
    past = _Past()
    log = SimulatedLog(history.about.partitions, past.seconds, shared=shared)
    for (topic, number), placed in groupby(history.records, key=lambda each: each[:2]):
        for _, _, record in placed:
            past.milliseconds = record.timestamp
            assert log.land(topic, number, Record(*record[2:])) == record.offset
    return log


async def embedded(history: History, directory: Path) -> EmbeddedLog:
    """Return the history as a log in a directory, open for writing."""
    past = _Past()
    log = await EmbeddedLog.open(directory, history.about.partitions, "process", past.seconds)
    # An embedded log takes no time back, as that of one partition may be before that of another.
    for topic, number, record in sorted(history.records, key=lambda each: each.record.timestamp):
        past.milliseconds = record.timestamp
        assert await log.append(topic, number, Record(*record[2:])) == record.offset
    return log
