"""Exporting a run: one pass over its partition, which finds its records and hashes all others for the proof."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import cast

import orjson

from engine.errors import RunNotFoundError
from engine.limits import AUDIT_RANGE_RECORDS, AUDIT_SAVE_RECORDS
from engine.log.port import EVENTS, WORKFLOWS, Ends, Log, LogRecord
from projections.audit.audit import Progress, log_identity, still_there
from projections.audit.bundle import Bundle, ProvedRange, ProvedRecord, record_json, record_of
from projections.audit.errors import BundleError
from projections.audit.merkle import Place, levels_of, partition_root, proof_of, sums_of
from projections.audit.murmur2 import home
from projections.audit.reading import read_stretch
from projections.audit.shape import FENCE, GENESIS
from projections.audit.walk import Walk
from projections.audit.working import Working, cleared, opened

_HINT = "`runline audit` says what is wrong with the log."


async def export_run(log: Log, run: str, work: Path, progress: Progress | None = None, origin: str = "") -> Bundle:
    """Return the bundle of a run as it is now.

    Goes on where an interrupted export of the same run stopped.

    Args:
        log: The log.
        run: The run's id.
        work: A directory of the export's own; made where there is none, and removed at the end.
        progress: Who is told how far it is.
        origin: Where the log is read from: what was found in one copy of a log says nothing about another.

    Raises:
        RunNotFoundError: The log has no such run.
        BundleError: The log is not whole, so that nothing can be proved.
        LogError: The log cannot be read now; call it again to go on.
        StoreError: The working directory cannot be used.
    """
    identity = await log_identity(log)
    while True:
        try:
            with opened(work) as working:
                bundle = await _Export(log, identity, origin, run, progress or Progress()).run(working)
        except (RunNotFoundError, BundleError):
            # That is an answer, and the next one is to be found anew.
            cleared(work)
            raise
        cleared(work)
        if bundle is not None:
            return bundle


@dataclass
class _Kept:
    """A record of the bundle; its proof is known when its range is complete."""

    record: LogRecord
    proof: list[bytes] | None = None


class _Export:
    def __init__(self, log: Log, identity: str, origin: str, run: str, progress: Progress) -> None:
        self._log = log
        self._origin = origin
        self._run = run
        self._progress = progress
        self._place = Place(identity, EVENTS, home(run, log.partitions), log.partitions)
        self._kept: list[_Kept] = []
        self._begun = False

    async def run(self, working: Working) -> Bundle | None:
        """Return the bundle, or None when what was written down is not this log's."""
        number = self._place.partition
        name = f"export of {self._run} from {self._place.identity} {self._origin}"
        if working.is_stale(name):
            return None
        plan = working.plan()
        if plan is None:
            plan = {(EVENTS, number): await self._log.ends(EVENTS, number)}
            working.begin(name, plan)
        bounds = plan[EVENTS, number]
        self._progress.total(bounds.end - bounds.start)
        walk = Walk(EVENTS, number, *bounds)
        saved = working.restore(walk)
        if saved is not None:
            self._restore(cast("list[dict[str, object]]", saved.kept))
        if not await still_there(self._log, walk, self._progress):
            return None
        await self._pass(walk, working)
        self._check(walk, bounds)
        return await self._bundle(walk)

    async def _pass(self, walk: Walk, working: Working) -> None:
        place = (walk.topic, walk.partition)
        saved = walk.position
        async for batch in read_stretch(self._log, *place, walk.position, walk.end, damaged=walk.damaged):
            for record in batch:
                if record.offset % AUDIT_RANGE_RECORDS == 0:
                    self._prove(walk)
                walk.take(record, None)
                self._keep(record)
            self._progress.advance(len(batch))
            if walk.position - saved >= AUDIT_SAVE_RECORDS:
                working.save(walk, kept=[_row(kept) for kept in self._kept])
                saved = walk.position
        self._prove(walk)
        walk.finish()

    def _keep(self, record: LogRecord) -> None:
        if record.key == self._run:
            self._begun = True
        elif record.headers.get("ce_type") != FENCE:
            return
        elif not self._begun:
            # The fence in force when the run begins is enough, with all others of its range.
            start = record.offset // AUDIT_RANGE_RECORDS * AUDIT_RANGE_RECORDS
            self._kept = [kept for kept in self._kept if kept.record.offset >= start]
        self._kept.append(_Kept(record))

    def _prove(self, walk: Walk) -> None:
        """Make the proofs of the range that is complete now."""
        rest = walk.ranges.open
        waiting = [kept for kept in self._kept if kept.proof is None and kept.record.offset >= rest.start]
        if waiting and len(rest.leaves) == rest.end - rest.start:
            levels = levels_of(rest.leaves)
            for kept in waiting:
                kept.proof = proof_of(levels, kept.record.offset - rest.start)

    def _restore(self, rows: list[dict[str, object]]) -> None:
        for row in rows:
            proof = row.pop("proof")
            hashes = None if proof is None else [bytes.fromhex(one) for one in cast("list[str]", proof)]
            self._kept.append(_Kept(record_of(row), hashes))
        self._begun = any(kept.record.key == self._run for kept in self._kept)

    def _check(self, walk: Walk, bounds: Ends) -> None:
        if bounds.start > 0 or walk.records != bounds.end or any(kept.proof is None for kept in self._kept):
            found = f"partition {walk.partition} of {EVENTS} is not whole"
            raise BundleError(f"expected a log without holes, but {found}.", hint=_HINT)
        if not self._begun:
            raise RunNotFoundError(f"Expected the id of a run of this log, but it has none with the id {self._run}.")

    async def _bundle(self, walk: Walk) -> Bundle:
        ranges = walk.ranges.all()
        sums = sums_of(ranges)
        numbers = sorted({kept.record.offset // AUDIT_RANGE_RECORDS for kept in self._kept})
        bundle = Bundle(
            self._place,
            self._run,
            await self._definition(),
            partition_root(self._place, ranges),
            len(ranges),
            [ProvedRange(number, ranges[number], proof_of(sums, number)) for number in numbers],
            [ProvedRecord(kept.record, kept.proof or []) for kept in self._kept],
        )
        return replace(bundle, digest=bundle.expected_digest())

    async def _definition(self) -> bytes:
        """Return the definition of the version that the run was created with."""
        firsts = [kept.record for kept in self._kept if kept.record.headers.get("prev") == GENESIS]
        versions = {_version(record) for record in firsts}
        ends = await self._log.ends(WORKFLOWS, 0)
        stretch = read_stretch(self._log, WORKFLOWS, 0, ends.start, ends.end, damaged=lambda *_: None)
        async for batch in stretch:
            for record in batch:
                if sha256(record.value).hexdigest() in versions:
                    return record.value
        raise BundleError("expected the run's workflow version on workflows, but it is not there.", hint=_HINT)


def _version(record: LogRecord) -> str:
    try:
        return str(orjson.loads(record.value)["events"][0]["version"])
    except (ValueError, KeyError, IndexError, TypeError):
        return ""


def _row(kept: _Kept) -> Mapping[str, object]:
    proof = None if kept.proof is None else [one.hex() for one in kept.proof]
    return record_json(kept.record) | {"proof": proof}
