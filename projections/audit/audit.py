"""The audit of a log: every partition of every topic, from its start to where it ended when the audit began."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from engine.limits import AUDIT_SAVE_RECORDS
from engine.log.place import partitions_of
from engine.log.port import COMMANDS, EVENTS, REJECTIONS, WORKFLOWS, Ends, Log, LogRecord
from projections.audit.checkpoints import UnforeseenError
from projections.audit.definitions import Definitions, Graph
from projections.audit.ended import EndedOnDisk
from projections.audit.events_audit import Counts, EventsAudit
from projections.audit.findings import Violation
from projections.audit.merkle import Leaf, Place, Range, leaf_hash, partition_root, record_form
from projections.audit.reading import read_ahead, read_stretch
from projections.audit.rejections import RejectionsAudit
from projections.audit.rules import Rule
from projections.audit.walk import Walk
from projections.audit.wire import canonical
from projections.audit.working import Working, cleared, opened


@dataclass(frozen=True)
class PartitionAudit:
    """What the audit of one partition found.

    Attributes:
        place: Which partition.
        start: The first offset that was there.
        end: The offset behind the last one that was read.
        records: How many records were there.
        ranges: Its ranges with their roots.
        root: The root over the ranges.
        leaves: Every record's hash, for `workflows` alone.
        counts: What the records were, for `events`.
        violations: The first violations.
        violation_counts: How many there are of each rule.
    """

    place: Place
    start: int
    end: int
    records: int
    ranges: list[Range]
    root: bytes
    leaves: list[Leaf]
    counts: Counts | None
    violations: list[Violation]
    violation_counts: Mapping[Rule, int]

    @property
    def topic(self) -> str:
        """The topic."""
        return self.place.topic

    @property
    def partition(self) -> int:
        """The partition's number."""
        return self.place.partition


@dataclass(frozen=True)
class Audit:
    """What the audit of a log found.

    Attributes:
        identity: The log's identity.
        partitions: One for each partition of each topic.
    """

    identity: str
    partitions: list[PartitionAudit]

    @property
    def violations(self) -> int:
        """How many violations there are."""
        return sum(sum(each.violation_counts.values()) for each in self.partitions)


@dataclass(frozen=True)
class Progress:
    """Who is told how far an audit is.

    Attributes:
        total: Told how many records there are.
        advance: Told of records that were audited.
    """

    total: Callable[[int], None] = lambda _: None
    advance: Callable[[int], None] = lambda _: None


async def log_identity(log: Log) -> str:
    """Return an identity that a log has as long as its topics live: 32 hexadecimal digits over theirs."""
    ids = [await log.topic_id(topic) for topic in (WORKFLOWS, COMMANDS, EVENTS, REJECTIONS)]
    return sha256(canonical(ids)).hexdigest()[:32]


async def still_there(log: Log, walk: Walk, progress: Progress) -> bool:
    """Return whether a walk can go on where it is: the record before is the one that it saw there.

    Args:
        log: The log.
        walk: The walk, as it was written down.
        progress: Is told of what was done before.
    """
    ends = await log.ends(walk.topic, walk.partition)
    if walk.end > ends.end:
        return False
    progress.advance(walk.records)
    if walk.position < ends.start:
        # Deleted since it began, as `commands` and `rejections` are after days.
        walk.position = ends.start
    elif walk.records and walk.position > ends.start:
        before = await log.read(walk.topic, walk.partition, walk.position - 1, 1)
        return bool(before) and leaf_hash(record_form(before[0])) == walk.ranges.last
    return True


async def audit_log(log: Log, work: Path, progress: Progress | None = None, origin: str = "") -> Audit:
    """Audit a log as it is now.

    Goes on where an interrupted audit of the same log stopped, and reads what that one would have read.

    Args:
        log: The log.
        work: A directory of the audit's own; made where there is none, and removed at the end.
        progress: Who is told how far it is.
        origin: Where the log is read from: what was found in one copy of a log says nothing about another.

    Raises:
        LogError: The log cannot be read now; call it again to go on.
        StoreError: The working directory cannot be used.
    """
    identity = await log_identity(log)
    while True:
        with opened(work) as working:
            audit = _LogAudit(log, identity, origin, working, progress or Progress())
            done = await audit.run()
        cleared(work)
        if done is not None:
            return done


class _LogAudit:
    def __init__(self, log: Log, identity: str, origin: str, working: Working, progress: Progress) -> None:
        self._log = log
        self._identity = identity
        self._name = f"{identity} {origin}"
        self._working = working
        self._progress = progress
        self._graphs: Mapping[str, Graph] = {}
        self._ends: Mapping[tuple[str, int], Ends] = {}
        self._leaves: list[Leaf] = []

    async def run(self) -> Audit | None:
        """Return what was found, or None when what was written down is not this log's."""
        if self._working.is_stale(self._name):
            return None
        plan = self._working.plan()
        if plan is None:
            plan = await self._bounds()
            self._working.begin(self._name, plan)
        self._ends = plan
        self._progress.total(sum(bounds.end - bounds.start for bounds in plan.values()))
        found: list[PartitionAudit] = []
        for topic, partition in plan:
            done = await self._partition(topic, partition)
            if done is None:
                return None
            found.append(done)
        return Audit(self._identity, found)

    async def _bounds(self) -> dict[tuple[str, int], Ends]:
        """Return what there is; `commands` after `events`, which decides only what is on it."""
        numbers = range(self._log.partitions)
        order = [(WORKFLOWS, 0), *((EVENTS, each) for each in numbers), *((COMMANDS, each) for each in numbers)]
        bounds = {place: await self._log.ends(*place) for place in [*order, (REJECTIONS, 0)]}
        # A run's workflow is on the log before the run.
        bounds[WORKFLOWS, 0] = await self._log.ends(WORKFLOWS, 0)
        return bounds

    async def _partition(self, topic: str, partition: int) -> PartitionAudit | None:
        bounds = self._ends[topic, partition]
        walk = Walk(topic, partition, *bounds, compacted=topic == WORKFLOWS and not self._log.indexed)
        if topic == EVENTS:
            counts = await self._events(walk)
            if counts is None:
                return None
        else:
            counts = None
            if not await self._other(walk):
                return None
        walk.finish()
        ranges = walk.ranges.all()
        where = Place(self._identity, topic, partition, partitions_of(topic, self._log.partitions))
        return PartitionAudit(
            where,
            *bounds,
            walk.records,
            ranges,
            partition_root(where, ranges),
            self._leaves if topic == WORKFLOWS else [],
            counts,
            walk.findings.shown,
            walk.findings.counts,
        )

    async def _other(self, walk: Walk) -> bool:
        """Walk through a partition of another topic than `events`; return whether what was written down is its own."""
        judge: Callable[[LogRecord], None] | None = None
        if walk.topic == WORKFLOWS:
            # Always from the start: all the others need what it finds.
            definitions = Definitions(walk.findings, self._log.partitions)
            self._graphs, judge = definitions.graphs, definitions.take
        else:
            self._working.restore(walk)
            if walk.topic == REJECTIONS:
                judge = RejectionsAudit(walk.findings, self._log.partitions).take
        if not await still_there(self._log, walk, self._progress):
            return False
        saved = walk.position
        async for batch in read_stretch(
            self._log, walk.topic, walk.partition, walk.position, walk.end, damaged=walk.damaged
        ):
            for record in batch:
                leaf = walk.take(record, judge)
                if walk.topic == WORKFLOWS:
                    self._leaves.append(Leaf(record.offset, record.key, leaf))
            self._progress.advance(len(batch))
            if walk.position - saved >= AUDIT_SAVE_RECORDS and walk.topic != WORKFLOWS:
                self._working.save(walk)
                saved = walk.position
        if walk.topic != WORKFLOWS:
            self._working.save(walk)
        return True

    # Events.

    async def _events(self, walk: Walk) -> Counts | None:
        if walk.start > 0:
            text = f"expected the history from offset 0 on, but it begins at {walk.start}; chains cannot be verified"
            walk.findings.add(Rule.HISTORY_GONE, walk.start, "", text)
            return Counts() if await self._other(walk) else None
        events, ended = self._auditor(walk)
        if not await self._restore(walk, events, ended):
            return None
        try:
            await self._fold(walk, events, ended)
        except UnforeseenError:
            events = await self._again(walk)
        return events.counts

    def _auditor(self, walk: Walk) -> tuple[EventsAudit, EndedOnDisk]:
        ended = self._working.ended(walk.partition)
        ends = self._ends[COMMANDS, walk.partition].end
        made = EventsAudit(walk.partition, self._log.partitions, walk.findings, self._graphs, ended, commands=ends)
        return made, ended

    async def _restore(self, walk: Walk, events: EventsAudit, ended: EndedOnDisk) -> bool:
        saved = self._working.restore(walk)
        ended.position = walk.position
        if saved is not None and saved.events is not None:
            events.restore(saved.events)
            for run in self._working.open_runs(walk):
                events.runs[run.run] = run
            checkpoints = events.checkpoints
            for run_id, each in ended.scan():
                if not checkpoints.forgotten(run_id, each.offset, each.decided):
                    events.remembered[run_id] = (each.offset, each.decided)
        return await still_there(self._log, walk, self._progress)

    async def _again(self, walk: Walk) -> EventsAudit:
        """Audit a partition from its start, with the places that its checkpoints sum up collected before."""
        self._working.forget(walk)
        self._progress.advance(-walk.records)
        walk.begin_again()
        events, ended = self._auditor(walk)
        events.checkpoints.restarted = True
        batches = read_stretch(self._log, walk.topic, walk.partition, walk.start, walk.end, damaged=lambda *_: None)
        async for batch in batches:
            for record in batch:
                events.checkpoints.want(record, 0)
        await self._fold(walk, events, ended)
        return events

    async def _fold(self, walk: Walk, events: EventsAudit, ended: EndedOnDisk) -> None:
        checkpoints = events.checkpoints

        def ahead(record: LogRecord) -> None:
            if record.key == "checkpoint":
                checkpoints.want(record, walk.position)

        batches = read_stretch(self._log, walk.topic, walk.partition, walk.position, walk.end, damaged=walk.damaged)
        saved = walk.position
        async for batch in read_ahead(batches, ahead):
            for record in batch:
                ended.position = record.offset
                walk.take(record, events.take)
            self._progress.advance(len(batch))
            if walk.position - saved >= AUDIT_SAVE_RECORDS and checkpoints.quiet:
                self._save(walk, events, ended)
                saved = walk.position
        checkpoints.fenced()
        self._save(walk, events, ended)

    def _save(self, walk: Walk, events: EventsAudit, ended: EndedOnDisk) -> None:
        ended.flush()
        self._working.save(walk, events)
