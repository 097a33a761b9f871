"""The working directory: what an interrupted audit goes on from.

Everything that belongs to one place in a partition is written in one batch, with the place itself. A finished audit
leaves nothing behind: the next one reads the whole log again, because what was right yesterday may be changed today.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, cast

import orjson

from engine.limits import AUDIT_RANGE_RECORDS
from engine.log.port import TOPICS, Ends
from engine.store.errors import StoreLockedError
from engine.store.port import Store, pages, prefix_end
from engine.store.rocks import RocksStore
from projections.audit.ended import FAMILY as ENDED
from projections.audit.ended import EndedOnDisk
from projections.audit.events_audit import EventsAudit, SavedEvents
from projections.audit.findings import SavedFindings
from projections.audit.merkle import Range
from projections.audit.ranges import Open
from projections.audit.run_fold import OpenRun
from projections.audit.walk import Walk

FORMAT: Final = 1
"""The version of what is written here; another one begins anew."""
Place = tuple[str, int]
_STORE: Final = "runline-working"
"""The folder of the store: no other directory of ours has one of this name, so none is taken for ours and removed."""
_AUDIT: Final = "audit"
_OPEN: Final = "open"
_RANGES: Final = "ranges"
_PLAN: Final = b"plan"
_PAGE: Final = 1_000
_HASH: Final = 32


class Saved(NamedTuple):
    """What belongs to the place where a walk was written down.

    Attributes:
        events: What the audit of its events goes on from, or None.
        kept: What else was handed over.
    """

    events: SavedEvents | None
    kept: object


class Working:
    """The working directory of one audit. Use `opened`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ranges_saved: dict[Place, int] = {}

    def is_stale(self, identity: str) -> bool:
        """Return whether something else was interrupted here: another log's audit, or one of another version."""
        stored = self._store.get(_AUDIT, _PLAN)
        return stored is not None and orjson.loads(stored)["of"] != self._of(identity)

    def plan(self) -> dict[Place, Ends] | None:
        """Return what the interrupted audit reads, or None where there is none."""
        stored = self._store.get(_AUDIT, _PLAN)
        if stored is None:
            return None
        rows = orjson.loads(stored)["ends"]
        return {(topic, partition): Ends(start, end) for topic, partition, start, end in rows}

    def begin(self, identity: str, ends: Mapping[Place, Ends]) -> None:
        """Write down what an audit reads."""
        rows = [[*place, *bounds] for place, bounds in ends.items()]
        batch = self._store.batch()
        batch.put(_AUDIT, _PLAN, orjson.dumps({"of": self._of(identity), "ends": rows}))
        self._store.write(batch)

    @staticmethod
    def _of(identity: str) -> list[object]:
        """Return what must be the same for an audit to be gone on with."""
        return [FORMAT, AUDIT_RANGE_RECORDS, identity]

    def ended(self, partition: int) -> EndedOnDisk:
        """Return the ended runs of a partition of `events`."""
        return EndedOnDisk(self._store, partition)

    def forget(self, walk: Walk) -> None:
        """Begin a partition anew."""
        batch = self._store.batch()
        place = _key(walk)
        for family in (_OPEN, _RANGES):
            for page in pages(self._store, family, place, prefix_end(place), _PAGE):
                for key, _ in page:
                    batch.delete(family, key)
        batch.delete(_AUDIT, b"walk" + place)
        self._store.write(batch)
        self._ranges_saved.pop((walk.topic, walk.partition), None)

    def save(self, walk: Walk, events: EventsAudit | None = None, kept: object = None) -> None:
        """Write down where a walk is, and all that belongs to that place, at once."""
        batch = self._store.batch()
        place = _key(walk)
        if events is not None:
            for run in events.changed:
                key = place + run.encode()
                if run in events.runs:
                    batch.put(_OPEN, key, orjson.dumps(events.runs[run].save()))
                else:
                    batch.delete(_OPEN, key)
            events.changed.clear()
        complete = walk.ranges.complete
        saved = self._ranges_saved.get((walk.topic, walk.partition), 0)
        for number, stretch in enumerate(complete[saved:], saved):
            row = [stretch.start, stretch.end, stretch.fences, stretch.root.hex()]
            batch.put(_RANGES, place + number.to_bytes(8, "big"), orjson.dumps(row))
        self._ranges_saved[walk.topic, walk.partition] = len(complete)
        rest = walk.ranges.open
        state = {
            "position": walk.position,
            "records": walk.records,
            "timestamp": walk.timestamp,
            "last": walk.ranges.last.hex(),
            "findings": walk.findings.save(),
            "open": [rest.start, rest.end, rest.fences],
            "events": None if events is None else events.save(),
            "kept": kept,
        }
        batch.put(_AUDIT, b"walk" + place, orjson.dumps(state))
        batch.put(_AUDIT, b"leaves" + place, b"".join(rest.leaves))
        self._store.write(batch)

    def restore(self, walk: Walk) -> Saved | None:
        """Put a walk where it was written down to be, if it was; return what belongs to that place."""
        place = _key(walk)
        stored = self._store.get(_AUDIT, b"walk" + place)
        if stored is None:
            return None
        state = orjson.loads(stored)
        walk.position, walk.records, walk.timestamp = state["position"], state["records"], state["timestamp"]
        walk.findings.restore(cast("SavedFindings", state["findings"]))
        complete = [
            Range(start, end, fences, bytes.fromhex(root))
            for page in pages(self._store, _RANGES, place, prefix_end(place), _PAGE)
            for start, end, fences, root in (orjson.loads(row) for _, row in page)
        ]
        leaves = self._store.get(_AUDIT, b"leaves" + place) or b""
        start, end, fences = state["open"]
        hashes = [leaves[at : at + _HASH] for at in range(0, len(leaves), _HASH)]
        walk.ranges.restore(complete, Open(start, end, fences, hashes))
        walk.ranges.last = bytes.fromhex(state["last"])
        self._ranges_saved[walk.topic, walk.partition] = len(complete)
        return Saved(cast("SavedEvents | None", state["events"]), state["kept"])

    def open_runs(self, walk: Walk) -> Iterator[OpenRun]:
        """Yield the open runs of the place where a walk is."""
        place = _key(walk)
        for page in pages(self._store, _OPEN, place, prefix_end(place), _PAGE):
            for _, row in page:
                yield OpenRun.restore(orjson.loads(row))


@contextmanager
def opened(directory: Path) -> Iterator[Working]:
    """Open a working directory; make it where there is none.

    Raises:
        StoreLockedError: Another audit uses it.
        StoreError: It cannot be used.
    """
    try:
        store = RocksStore.open(directory / _STORE, (_AUDIT, _OPEN, _RANGES, ENDED))
    except StoreLockedError as error:
        raise StoreLockedError(
            f"expected nobody else to audit or export in {directory}, but another process does.",
            hint="Wait until it is done, or give this one a directory of its own: --work DIR.",
        ) from error
    try:
        yield Working(store)
    finally:
        store.close()


def cleared(directory: Path) -> None:
    """Remove what an audit has written, and the directory when there is nothing else in it."""
    shutil.rmtree(directory / _STORE, ignore_errors=True)
    if directory.is_dir() and not any(directory.iterdir()):
        directory.rmdir()


def _key(walk: Walk) -> bytes:
    return bytes((TOPICS.index(walk.topic),)) + walk.partition.to_bytes(4, "big")
