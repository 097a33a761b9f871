"""Acceptance vectors: small partitions of `events`, and which of their records count, for readers in any language."""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

import orjson

from engine.core.checkpoint import OpenRun, PartValue, part_values, read_part_value
from engine.core.events import Event
from engine.core.records import (
    FENCE,
    NO_CHECKPOINT,
    Heading,
    PartHeading,
    commit_record,
    commit_value,
    fence_record,
    part_record,
    read_part,
)
from engine.core.state import GENESIS
from engine.core.view import View
from engine.log.port import LogRecord, Record

FORMAT: Final = 1
TIME: Final = "2026-11-23T08:00:00.000000Z"
SOURCE: Final = "/vectors"
EXECUTOR: Final = "executor-1"

WHY: Final = {
    "fence": "it begins an epoch, and holds no events",
    "checkpoint": "it is a part of a checkpoint, and holds no events",
    "foreign": "it is no record of the log's: it has another ce_type or none, or not the key that goes with it",
    "epoch": "it was written under another epoch than the one in force",
    "prev": "it does not follow the head of its run: a duplicate, a gap or a lost race",
    "ended": "its run has ended",
    "id": "its id is not the hash of prev, epoch and value",
    "late": "it would begin a run by a command below C, where everything is decided: a late copy of a first commit",
    "unreadable": "its place is right, but its value cannot be read, or an event in it has an unknown type",
    "after_unreadable": "it comes after a commit of its run that cannot be read",
}
"""Why a record does not count, in words for people."""


class Vector(NamedTuple):
    """A partition, and where to begin in it.

    Attributes:
        name: What it is about.
        partition: Its records.
        begins: Positions, each with the offset of the first part of the checkpoint to begin from, or None for none.
    """

    name: str
    partition: "Partition"
    begins: Mapping[int, int | None] = {}


class Partition:
    """Records in order, each with the reason why it does not count, which the view of the engine confirms.

    Attributes:
        records: What stands in it.
        why: For each record a word of `WHY`, or an empty text for one that counts.
        epoch: The epoch under which the next commit is written; that of the last fence.
    """

    def __init__(self) -> None:
        self.records: list[LogRecord] = []
        self.why: list[str] = []
        self.epoch = ""
        self.view = View()

    def put(self, record: Record, why: str = "", *, hole: int = 0) -> Record:
        """Append a record, after so many offsets that hold none."""
        offset = self.view.position + hole
        self.records.append(LogRecord(offset, 0, *record))
        self.why.append(why)
        accepted = self.view.fold(self.records[-1])
        assert (accepted is None) == (why in WHY), f"record {offset} ({why!r}) is taken for {accepted}"
        return record

    def fence(self, nonce: str, *, hole: int = 0) -> str:
        """Append a fence, and return the epoch that it begins."""
        record = fence_record(nonce, executor=EXECUTOR, source=SOURCE, time=TIME, checkpoint=self._checkpoint())
        self.put(record, "fence", hole=hole)
        self.epoch = f"{self.records[-1].offset}:{nonce}"
        return self.epoch

    def head(self, run: str) -> str:
        """Return the head of a run."""
        state = self.view.runs.get(run)
        return GENESIS if state is None else state.head

    def commit(
        self,
        run: str,
        events: Iterable[Event],
        *,
        decided: int | None = None,
        prev: str | None = None,
        epoch: str | None = None,
    ) -> Record:
        """Return a commit that follows the run's head under the current epoch, unless said otherwise."""
        events = list(events)
        value = commit_value(run, TIME, decided, [orjson.dumps(event) for event in events])
        types = ",".join(event["type"] for event in events)
        return self.commit_of(value, run, decided=decided, prev=prev, epoch=epoch, types=types)

    def commit_of(
        self,
        value: bytes,
        run: str,
        *,
        decided: int | None = None,
        prev: str | None = None,
        epoch: str | None = None,
        types: str = "run.created",
    ) -> Record:
        """Return a commit with any value, whose id is right."""
        return commit_record(
            value,
            run_id=run,
            time=TIME,
            decided=decided,
            prev=self.head(run) if prev is None else prev,
            epoch=self.epoch if epoch is None else epoch,
            types=types,
            causation="" if decided is None else f"command-{decided}",
            heading=Heading(SOURCE, run, "", self._checkpoint()),
        )

    def parts(self, *, commands: int, clock: int) -> list[Record]:
        """Return the parts of a checkpoint of everything so far."""
        view = self.view
        values = _part_values(view, commands, clock)
        return [
            part_record(
                value,
                PartHeading(self.epoch, view.position, number, len(values), commands, clock),
                source=SOURCE,
                time=TIME,
                checkpoint=self._checkpoint(),
            )
            for number, value in enumerate(values)
        ]

    def _checkpoint(self) -> str:
        return NO_CHECKPOINT if self.view.checkpoint is None else str(self.view.checkpoint)


def _part_values(view: View, commands: int, clock: int) -> list[bytes]:
    """Return the values of a checkpoint's parts: the open runs in one and the ended ones in another.

    How much an executor puts into a part is not to matter here.
    """
    runs: list[OpenRun] = []
    ended: dict[str, int] = {}
    for value in part_values(view.runs, view.ended, commands=commands, clock=clock):
        part: PartValue = orjson.loads(value)
        runs += part["runs"]
        ended |= part["ended"]
    parts = [PartValue(runs=runs, ended={})] if runs or not ended else []
    if ended:
        parts.append(PartValue(runs=[], ended=ended))
    return [orjson.dumps(part) for part in parts]


def vectors_text(vectors: Iterable[Vector]) -> str:
    """Return the file of the vectors: each record on a line of its own."""
    whole = {
        "format": FORMAT,
        "about": "Partitions of the topic events, and which of their records count: see docs/follow.md.",
        "why": WHY,
        "vectors": [_vector(vector) for vector in vectors],
    }
    return _laid_out(whole, 4) + "\n"


def _laid_out(tree: object, depth: int, indent: str = "") -> str:
    """Return JSON whose outer levels are laid out in lines, down to items of one line each."""
    inner = f"{indent} "
    if depth and isinstance(tree, dict):
        lines = [f"{inner}{json.dumps(name)}: {_laid_out(item, depth - 1, inner)}" for name, item in tree.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if depth and isinstance(tree, list) and tree:
        lines = [f"{inner}{_laid_out(item, depth - 1, inner)}" for item in tree]
        return "[\n" + ",\n".join(lines) + f"\n{indent}]"
    return json.dumps(tree, ensure_ascii=False)


def _vector(vector: Vector) -> Mapping[str, object]:
    partition = vector.partition
    return {
        "name": vector.name,
        "records": [_record(record, why) for record, why in zip(partition.records, partition.why, strict=True)],
        "epoch": partition.view.epoch,
        "heads": {run: state.head for run, state in partition.view.runs.items()},
        "begins": [_begin(partition, position, first) for position, first in vector.begins.items()],
    }


def _record(record: LogRecord, why: str) -> Mapping[str, object]:
    # A record on Kafka may have no key or no value; for our readers these are empty.
    shown: dict[str, object] = {"offset": record.offset, "key": record.key or None, "headers": record.headers}
    try:
        shown["value"] = record.value.decode() or None
    except UnicodeDecodeError:
        shown["value_base64"] = base64.b64encode(record.value).decode()
    return {**shown, "accepted": not why, "why": why}


def _begin(partition: Partition, position: int, first: int | None) -> Mapping[str, object]:
    view = View()
    if first is not None:
        for heading, value in _parts(partition.records, first):
            view.position, view.epoch = heading.start, heading.epoch
            view.restore(heading, *read_part_value(value))
    return {
        "position": position,
        "checkpoint": first,
        "start": view.position,
        "epoch": view.epoch,
        "heads": {run: state.head for run, state in view.runs.items()},
        "ended": view.ended,
        "commands": view.commands,
        "clock": view.clock,
    }


def _parts(records: Iterable[LogRecord], first: int) -> Iterator[tuple[PartHeading, bytes]]:
    """Yield the parts of a checkpoint from its first one on, each once."""
    found: set[int] = set()
    start = None
    for record in records:
        heading = read_part(record.headers)
        if record.offset < first or heading is None or start not in (None, heading.start):
            continue
        assert record.headers["ce_type"] != FENCE
        start = heading.start
        if heading.part not in found:
            found.add(heading.part)
            yield heading, record.value
