"""Roots: what is stored elsewhere today, so that a later audit shows whether the log is still the one of today.

The file is JSON: `format`, `identity`, and for each partition its bounds, its root and its ranges. A topic that is
compacted loses records lawfully, so for `workflows` every record's hash is kept too.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.limits import ROOTS_BYTES_MAX
from engine.log.place import places
from engine.log.port import COMMANDS, EVENTS, REJECTIONS, Log
from projections.audit.audit import Audit, PartitionAudit
from projections.audit.errors import RootsError
from projections.audit.fields import Fields, Refuse, read_json
from projections.audit.findings import Violation
from projections.audit.merkle import Leaf, Place, Range, partition_root
from projections.audit.ranges import Ranges
from projections.audit.reading import read_stretch
from projections.audit.rules import Rule

FORMAT: Final = 1
"""The version of the file."""
_DELETED: Final = (COMMANDS, REJECTIONS)
"""Topics whose oldest records are deleted after days."""


@dataclass(frozen=True)
class PartitionRoots:
    """The roots of one partition.

    Attributes:
        place: Which partition.
        start: The first offset that was there.
        end: The offset behind the last one.
        root: The root over the ranges.
        ranges: The ranges.
        leaves: Every record's hash, for `workflows` alone.
    """

    place: Place
    start: int
    end: int
    root: bytes
    ranges: Sequence[Range]
    leaves: Sequence[Leaf]


@dataclass(frozen=True)
class Gone:
    """Records that were there when the roots were written down and have been deleted since, as they should be."""

    topic: str
    partition: int
    start: int
    end: int


@dataclass(frozen=True)
class Roots:
    """The roots of a log.

    Attributes:
        identity: The log's identity.
        partitions: Its partitions.
    """

    identity: str
    partitions: Sequence[PartitionRoots]

    @classmethod
    def of(cls, audit: Audit) -> "Roots":
        """Return the roots that an audit found."""
        return cls(
            audit.identity,
            [
                PartitionRoots(each.place, each.start, each.end, each.root, each.ranges, each.leaves)
                for each in audit.partitions
            ],
        )

    @classmethod
    def read(cls, path: Path) -> "Roots":
        """Return the roots of a file.

        Raises:
            RootsError: It is none with roots, or not as it was written.
        """

        def refuse(text: str) -> RootsError:
            return RootsError(f"{path}: {text}", hint="Name a file that `runline audit --roots FILE` wrote.")

        data = read_json(path, ROOTS_BYTES_MAX, refuse)
        whole = Fields(data, "", {"format", "identity", "partitions"}, refuse)
        if (version := whole.raw("format")) != FORMAT or isinstance(version, bool):
            raise refuse(f"expected format {FORMAT}, but found {str(version)[:80]!r}.")
        identity = whole.text("identity")
        partitions = [_partition(identity, *each, refuse) for each in whole.list("partitions")]
        # Whoever leaves a partition out would have it compared with nothing.
        there = [(each.place.topic, each.place.partition) for each in partitions]
        wanted = places(max((each.place.partitions for each in partitions if each.place.topic == EVENTS), default=1))
        if missing := [place for place in wanted if there.count(place) != 1]:
            topic, number = missing[0]
            raise refuse(f"expected the roots of every partition once, but not so those of {topic}/{number}.")
        return cls(identity, partitions)

    def json(self) -> Mapping[str, object]:
        """Return them as they stand in a file."""
        return {
            "format": FORMAT,
            "identity": self.identity,
            "partitions": [
                {
                    "topic": each.place.topic,
                    "partition": each.place.partition,
                    "partitions": each.place.partitions,
                    "start": each.start,
                    "end": each.end,
                    "root": each.root.hex(),
                    "ranges": [
                        {"start": some.start, "end": some.end, "fences": some.fences, "root": some.root.hex()}
                        for some in each.ranges
                    ],
                    "leaves": [
                        {"offset": leaf.offset, "key": leaf.key, "hash": leaf.hash.hex()} for leaf in each.leaves
                    ],
                }
                for each in self.partitions
            ],
        }


def _partition(identity: str, place: str, data: object, refuse: Refuse) -> PartitionRoots:
    fields = Fields(
        data, place, {"topic", "partition", "partitions", "start", "end", "root", "ranges", "leaves"}, refuse
    )
    ranges = [_range(*each, refuse) for each in fields.list("ranges")]
    leaves = [_leaf(*each, refuse) for each in fields.list("leaves")]
    root = fields.hash("root")
    where = Place(identity, fields.text("topic"), fields.number("partition"), fields.number("partitions", 1))
    if partition_root(where, ranges) != root:
        raise refuse(f"expected the root over its ranges at {place}.root, but found {root.hex()}.")
    return PartitionRoots(where, fields.number("start"), fields.number("end"), root, ranges, leaves)


def _range(place: str, data: object, refuse: Refuse) -> Range:
    fields = Fields(data, place, {"start", "end", "fences", "root"}, refuse)
    return Range(fields.number("start"), fields.number("end"), fields.number("fences"), fields.hash("root"))


def _leaf(place: str, data: object, refuse: Refuse) -> Leaf:
    fields = Fields(data, place, {"offset", "key", "hash"}, refuse)
    return Leaf(fields.number("offset"), fields.text("key"), fields.hash("hash"))


@dataclass
class Comparison:
    """How a log compares with roots that were written down earlier.

    Attributes:
        violations: Where it differs.
        gone: What has been deleted since, as it should be.
        ranges: How many ranges were compared.
    """

    violations: list[Violation]
    gone: list[Gone]
    ranges: int


async def compare(roots: Roots, audit: Audit, log: Log) -> Comparison:
    """Compare what an audit found with roots that were written down earlier; a log that has grown is fine.

    Args:
        roots: The earlier ones.
        audit: What was found now.
        log: The log, to hash once more what was the end of a partition then.

    Raises:
        LogError: The log cannot be read now.
    """
    comparing = _Comparing(log, Comparison([], [], 0))
    if roots.identity != audit.identity:
        text = f"expected the log {roots.identity}, but found {audit.identity}"
        comparing.add(Rule.LOG_DIFFERS, "", 0, None, text)
    found = {(each.topic, each.partition): each for each in audit.partitions}
    for before in roots.partitions:
        now = found.get((before.place.topic, before.place.partition))
        if now is None:
            text = f"expected partition {before.place.partition} of {before.place.topic}, but there is none"
            comparing.add(Rule.LOG_DIFFERS, before.place.topic, before.place.partition, None, text)
        else:
            await comparing.partition(before, now)
    return comparing.result


class _Comparing:
    def __init__(self, log: Log, result: Comparison) -> None:
        self._log = log
        self.result = result

    def add(self, rule: Rule, topic: str, partition: int, offset: int | None, text: str) -> None:
        self.result.violations.append(Violation(rule, topic, partition, offset, "", text))

    async def partition(self, before: PartitionRoots, now: PartitionAudit) -> None:
        place = (before.place.topic, before.place.partition)
        if now.end < before.end:
            self.add(
                Rule.LOG_DIFFERS, *place, now.end, f"expected records up to {before.end}, but it ends at {now.end}"
            )
        if before.leaves:
            self._leaves(before, now)
            return
        for stretch in before.ranges:
            if stretch.start < now.start and before.place.topic in _DELETED:
                self.result.gone.append(Gone(*place, stretch.start, min(stretch.end, now.start)))
                continue
            self.result.ranges += 1
            root = await self._root(now, stretch)
            if root != (stretch.fences, stretch.root):
                text = f"expected root {stretch.root.hex()} of offsets {stretch.start} to {stretch.end - 1}"
                self.add(Rule.ROOT_DIFFERS, *place, stretch.start, f"{text}, but found {_shown(root)}")

    def _leaves(self, before: PartitionRoots, now: PartitionAudit) -> None:
        """Compare record by record: one that is missing was replaced by a later one with its key."""
        found = {leaf.offset: leaf for leaf in now.leaves}
        last = {leaf.key: leaf.offset for leaf in now.leaves}
        for leaf in before.leaves:
            same = found.get(leaf.offset)
            if same is None and last.get(leaf.key, -1) > leaf.offset:
                self.result.gone.append(Gone(before.place.topic, before.place.partition, leaf.offset, leaf.offset + 1))
            elif same != leaf:
                text = f"expected {leaf.key} with hash {leaf.hash.hex()}, but found {_shown_leaf(same)}"
                self.add(Rule.ROOT_DIFFERS, before.place.topic, before.place.partition, leaf.offset, text)

    async def _root(self, now: PartitionAudit, stretch: Range) -> tuple[int, bytes] | None:
        """Return the fences and the root of the same offsets now, or None where there are none."""
        at = bisect_left(now.ranges, stretch.start, key=_start)
        found = now.ranges[at] if at < len(now.ranges) else None
        if found is None or found.start != stretch.start or found.end < stretch.end:
            return None
        return (found.fences, found.root) if found.end == stretch.end else await self._hashed(now, stretch)

    async def _hashed(self, now: PartitionAudit, stretch: Range) -> tuple[int, bytes] | None:
        """Hash what was the end of a partition then and has been followed by more since."""
        ranges = Ranges()
        batches = read_stretch(self._log, now.topic, now.partition, stretch.start, stretch.end, damaged=lambda *_: None)
        async for batch in batches:
            for record in batch:
                ranges.take(record)
        found = ranges.all()
        return (found[0].fences, found[0].root) if len(found) == 1 else None


def _start(stretch: Range) -> int:
    return stretch.start


def _shown(found: tuple[int, bytes] | None) -> str:
    return "no such records" if found is None else f"{found[1].hex()}, with {found[0]} fences"


def _shown_leaf(leaf: Leaf | None) -> str:
    return "nothing" if leaf is None else f"{leaf.key} with hash {leaf.hash.hex()}"
