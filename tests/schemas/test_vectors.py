"""The acceptance vectors are what the engine does, and a reader that leaves out any part of the rule fails them."""

import base64
import json
from collections import Counter
from collections.abc import Mapping
from hashlib import sha256
from typing import NamedTuple

import pytest

from engine.core.view import View
from engine.executor.beginning import begin
from engine.log.port import EVENTS, LogRecord, Record
from engine.schemas import files
from engine.schemas.vectors import FORMAT, WHY
from tests.simulation.log import SimulatedLog
from tests.support.wire import check_records


class Begin(NamedTuple):
    """Where a vector says that a reader begins."""

    position: int
    checkpoint: int | None
    start: int
    epoch: str | None
    heads: dict[str, str]
    ended: dict[str, int]
    commands: int
    clock: int


class Read(NamedTuple):
    """A vector, read from the file."""

    records: list[LogRecord]
    accepted: list[int]
    why: list[str]
    epoch: str
    heads: dict[str, str]
    begins: list[Begin]


def _record(shown: Mapping[str, object]) -> LogRecord:
    value, encoded, offset, headers = (shown.get(name) for name in ("value", "value_base64", "offset", "headers"))
    data = base64.b64decode(str(encoded)) if value is None and encoded is not None else str(value or "").encode()
    assert isinstance(offset, int)
    assert isinstance(headers, dict)
    return LogRecord(offset, 0, str(shown["key"] or ""), data, headers)


def _read() -> dict[str, Read]:
    whole = json.loads(files()["acceptance-vectors.json"])
    assert whole["format"] == FORMAT
    assert whole["why"] == WHY
    return {
        vector["name"]: Read(
            [_record(shown) for shown in vector["records"]],
            [shown["offset"] for shown in vector["records"] if shown["accepted"]],
            [shown["why"] for shown in vector["records"]],
            vector["epoch"],
            vector["heads"],
            [Begin(**shown) for shown in vector["begins"]],
        )
        for vector in whole["vectors"]
    }


VECTORS = _read()
LYING = "the id covers the value: what the headers repeat of it decides nothing"


@pytest.mark.parametrize("name", VECTORS)
def test_the_engine_accepts_what_a_vector_says(name: str) -> None:
    vector, view = VECTORS[name], View()
    assert [record.offset for record in vector.records if view.fold(record) is not None] == vector.accepted
    assert view.epoch == vector.epoch
    assert {run: state.head for run, state in view.runs.items()} == vector.heads
    assert [not why for why in vector.why] == [record.offset in vector.accepted for record in vector.records]


@pytest.mark.parametrize("name", [name for name, vector in VECTORS.items() if vector.begins])
async def test_the_engine_begins_no_later_than_a_vector_says_and_accepts_the_same_from_there_on(name: str) -> None:
    vector, log = VECTORS[name], SimulatedLog()
    for record in vector.records:
        assert log.land(EVENTS, 0, Record(record.key, record.value, record.headers)) == record.offset
    for wanted in vector.begins:
        view = (await begin(log, 0, before=wanted.position)).view
        heads = {run: state.head for run, state in view.runs.items()}
        found = (view.checkpoint, view.position, view.epoch, heads, view.ended, view.commands, view.clock)
        # The engine may begin further back than it must, but then it is an exact beginning too.
        assert found == tuple(wanted)[1:]
        accepted = [record.offset for record in vector.records[view.position :] if view.fold(record) is not None]
        assert [offset for offset in accepted if offset >= wanted.position] == [
            offset for offset in vector.accepted if offset >= wanted.position
        ]


@pytest.mark.parametrize("name", [name for name, vector in VECTORS.items() if vector.begins])
def test_whoever_begins_where_a_vector_says_accepts_the_same_from_there_on(name: str) -> None:
    vector = VECTORS[name]
    for wanted in vector.begins:
        reader = Reader()
        reader.restore(wanted)
        accepted = [record.offset for record in vector.records[wanted.start :] if reader.accepts(record)]
        assert [offset for offset in accepted if offset >= wanted.position] == [
            offset for offset in vector.accepted if offset >= wanted.position
        ]


def test_the_vectors_have_every_reason_and_begin_everywhere() -> None:
    reasons = Counter(why for vector in VECTORS.values() for why in vector.why)
    assert set(reasons) == {"", *WHY}
    assert reasons[""] > 50
    begins = [each for vector in VECTORS.values() for each in vector.begins]
    assert {each.checkpoint is None for each in begins} == {True, False}
    assert any(each.ended for each in begins)


def test_the_records_that_count_are_as_published() -> None:
    checked: Counter[str] = Counter()
    for name, vector in VECTORS.items():
        if name != LYING:
            checked += check_records(
                EVENTS,
                [record for record, why in zip(vector.records, vector.why, strict=True) if why in ("", "fence")],
            )
    assert checked["runline.commit"] > 50
    assert checked["runline.fence"] > len(VECTORS)


class Reader:
    """The rule of the log, written down once more with nothing of the engine, and with one part of it left out."""

    def __init__(self, without: str = "") -> None:
        self._without = without
        self._epoch = ""
        self._open: dict[str, tuple[str, int]] = {}
        self._ended: dict[str, int] = {}
        self._dead: set[str] = set()
        self._commands = 0
        self._parts: dict[tuple[str, str], set[str]] = {}

    def restore(self, begin: Begin) -> None:
        self._epoch = begin.epoch or ""
        # What open runs have decided matters only when they end and are forgotten; nothing here goes so far.
        self._open = {run: (head, -1) for run, head in begin.heads.items()}
        self._ended = dict(begin.ended)
        self._commands = begin.commands

    def accepts(self, record: LogRecord) -> bool:
        kind, headers = record.headers.get("ce_type"), record.headers
        if kind == "runline.fence" and (record.key == "fence" or self._leaves("key")):
            offset = 0 if self._leaves("offset") else record.offset
            self._epoch = f"{offset}:{'' if self._leaves('nonce') else headers['nonce']}"
            self._parts.clear()
        elif kind == "runline.checkpoint" and record.key == "checkpoint" and "parts" in headers:
            self._part(headers)
        return (kind == "runline.commit" or self._leaves("type")) and self._commit(record)

    def _commit(self, record: LogRecord) -> bool:
        run, headers = record.key, record.headers
        epoch, prev = headers.get("epoch", ""), headers.get("prev", "")
        head, decided_before = self._open.get(run, ("genesis", -1))
        shown = epoch.split(":")[0] + ":" if self._leaves("nonce") else epoch
        if shown != self._epoch and not self._leaves("epoch"):
            return False
        if (prev != head and not self._leaves("prev")) or (run in self._ended and not self._leaves("ended")):
            return False
        if run in self._dead and not self._leaves("dead"):
            return False
        hashed = sha256(f"{prev}\n{epoch}\n".encode() + record.value).hexdigest()
        if not self._leaves("id") and headers.get("ce_id") != hashed:
            return False
        events, decided = self._value(record, first=head == "genesis")
        if head == "genesis" and decided is not None and decided < self._commands and not self._leaves("late"):
            return False
        if not events:
            self._dead.add(run)
            self._open.pop(run, None)
            return False
        decided_before = max(decided_before, -1 if decided is None else decided)
        self._open[run] = hashed, decided_before
        if any(event in ("run.succeeded", "run.failed", "run.cancelled") for event in events):
            del self._open[run]
            self._ended[run] = decided_before
        return True

    def _value(self, record: LogRecord, *, first: bool) -> tuple[list[str], int | None]:
        """Return the types of the events, none when it cannot be read, and what it decided."""
        try:
            value = json.loads(record.value.decode())
            types = [event["type"] for event in value["events"]]
            decided = value["decided"]
        except (ValueError, KeyError, TypeError):
            return [], None
        if self._leaves("header") and record.headers.get("decided", "").isdecimal():
            decided = int(record.headers["decided"])
        known = all(each.startswith(("run.", "trace.", "command.")) and each != "run.paused" for each in types)
        creates = [each == "run.created" for each in types] == [first, *[False] * (len(types) - 1)]
        whole = (value["run"] == record.key or self._leaves("run")) and (creates or self._leaves("created"))
        return (types if whole and (known or self._leaves("unknown")) else []), decided

    def _part(self, headers: Mapping[str, str]) -> None:
        if headers["epoch"] != self._epoch and not self._leaves("part epoch") and not self._leaves("nonce"):
            return
        parts = self._parts.setdefault((headers["epoch"], headers["start"]), set())
        parts.add(headers["part"] if not self._leaves("part number") else str(len(parts)))
        if len(parts) < int(headers["parts"]) and not self._leaves("parts"):
            return
        self._commands = max(self._commands, int(headers["commands"]))
        digits = f"{max(int(headers['clock']) - 3_600_000, 0):012x}"
        floor = f"{digits[:8]}-{digits[8:]}" if not self._leaves("window") else "f"
        for run, decided in list(self._ended.items()):
            if run < floor and (decided < self._commands or self._leaves("below")) and not self._leaves("forget"):
                del self._ended[run]

    def _leaves(self, part: str) -> bool:
        return part == self._without


def _wrong(without: str) -> list[str]:
    """Return the vectors that a reader fails that leaves this out."""
    wrong = []
    for name, vector in VECTORS.items():
        reader = Reader(without)
        if [record.offset for record in vector.records if reader.accepts(record)] != vector.accepted:
            wrong.append(name)
    return wrong


def test_a_second_writing_of_the_rule_passes_all_vectors() -> None:
    assert _wrong("") == []


@pytest.mark.parametrize(
    "part",
    [
        "epoch", "nonce", "offset", "prev", "id", "ended", "dead", "late", "header", "type", "key", "run", "created",
        "unknown", "part epoch", "part number", "parts", "window", "below",
    ],
)  # fmt: skip
def test_a_reader_that_leaves_out_a_part_of_the_rule_fails_a_vector(part: str) -> None:
    assert _wrong(part), f"the vectors do not notice a reader without {part!r}"
