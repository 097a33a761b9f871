"""The audit of a bundle: the rules of its run, offline, and the proof that it is part of a log.

What a bundle cannot show: that the run did not go on after it was made, and, for a run that has not ended, that no
later commit was left out. Everything before the last commit is bound by the chain, every fence by the number of
fences in the ranges, and all of it by the partition's root, when that root was stored elsewhere.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from engine.log.port import EVENTS
from projections.audit.bundle import Bundle, ProvedRange
from projections.audit.definitions import Graph, parse_definition
from projections.audit.ended import EndedInMemory
from projections.audit.events_audit import Counts, EventsAudit
from projections.audit.findings import Findings, Violation
from projections.audit.merkle import leaf_hash, prove_range, record_form, root_from
from projections.audit.roots import Roots
from projections.audit.rules import Rule
from projections.audit.shape import FENCE, FENCE_KEY


@dataclass(frozen=True)
class BundleAudit:
    """What the audit of a bundle found.

    Attributes:
        bundle: The bundle.
        workflow: The workflow's id, or an empty text.
        version: The workflow version.
        status: Where the run stands at the end of the bundle, or an empty text when it has no commit that counts.
        counts: What the bundle holds.
        violations: The first violations.
        violation_counts: How many there are of each rule.
    """

    bundle: Bundle
    workflow: str
    version: str
    status: str
    counts: Counts
    violations: list[Violation]
    violation_counts: Mapping[Rule, int]


def audit_bundle(bundle: Bundle, against: Roots | None = None) -> BundleAudit:
    """Verify a bundle with nothing but itself, and with roots that were stored elsewhere where there are any."""
    return _BundleAudit(bundle).run(against)


class _BundleAudit:
    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._findings = Findings(EVENTS, bundle.place.partition)
        self._graphs: dict[str, Graph] = {}

    def run(self, against: Roots | None) -> BundleAudit:
        bundle = self._bundle
        if bundle.digest != bundle.expected_digest():
            self._found(Rule.BUNDLE_CONTENTS, None, f"expected digest {bundle.expected_digest().hex()} of its contents")
        version = sha256(bundle.definition).hexdigest()
        self._check_definition(version)
        before = self._check_ranges()
        self._check_records()
        self._check_fences(before)
        events, status = self._check_run(version)
        if against is not None:
            self._compare(against)
        graph = self._graphs.get(version)
        return BundleAudit(
            bundle,
            "" if graph is None else graph.workflow,
            version,
            status,
            events.counts,
            self._findings.shown,
            self._findings.counts,
        )

    def _found(self, rule: Rule, offset: int | None, text: str) -> None:
        self._findings.add(rule, offset, self._bundle.run, text)

    def _check_definition(self, version: str) -> None:
        graph = parse_definition(self._bundle.definition)
        if isinstance(graph, str):
            self._found(Rule.BUNDLE_DEFINITION, None, graph)
        else:
            self._graphs[version] = graph

    def _check_ranges(self) -> list[int | None]:
        """Check the way of each range to the root; return how many fences stand before each, as far as it is proved."""
        bundle = self._bundle
        before: list[int | None] = []
        last = -1
        for each in bundle.ranges:
            stretch = each.range
            proved = prove_range(bundle.place, stretch, each.index, bundle.size, each.proof)
            if proved is None or proved.root != bundle.root:
                text = f"expected the range from {stretch.start} to lead to root {bundle.root.hex()}, but it does not"
                self._found(Rule.BUNDLE_PROOF, stretch.start, text)
            if each.index <= last:
                self._found(Rule.BUNDLE_PROOF, stretch.start, "expected the ranges in order")
            last = each.index
            before.append(proved.before if proved is not None and proved.root == bundle.root else None)
        return before

    def _check_records(self) -> None:
        """Check the way of each record to the root of its range, and that it belongs here."""
        bundle = self._bundle
        position = -1
        used: set[int] = set()
        for each in bundle.records:
            record = each.record
            if record.offset <= position:
                self._found(Rule.BUNDLE_CONTENTS, record.offset, f"expected a record behind offset {position}")
            position = record.offset
            stretch = self._range_of(record.offset)
            used.add(-1 if stretch is None else stretch.index)
            root = None if stretch is None else root_from(
                leaf_hash(record_form(record)),
                record.offset - stretch.range.start,
                stretch.range.end - stretch.range.start,
                each.proof,
            )  # fmt: skip
            if stretch is None or root != stretch.range.root:
                self._found(Rule.BUNDLE_PROOF, record.offset, "expected the record to lead to the root of its range")
            if record.key != bundle.run and record.headers.get("ce_type") != FENCE:
                self._found(
                    Rule.BUNDLE_CONTENTS, record.offset, f"expected the run or a fence, but found {record.key!r}"
                )
        for proved in bundle.ranges:
            if proved.index not in used:
                self._found(Rule.BUNDLE_PROOF, proved.range.start, "expected only ranges with records of the bundle")

    def _range_of(self, offset: int) -> ProvedRange | None:
        ranges = self._bundle.ranges
        at = bisect_right(ranges, offset, key=_start) - 1
        return ranges[at] if at >= 0 and offset < ranges[at].range.end else None

    def _check_fences(self, before: list[int | None]) -> None:
        """Check that no fence was left out from the first range to the last."""
        ranges = self._bundle.ranges
        if not ranges or before[0] is None or before[-1] is None:
            return
        expected = before[-1] + ranges[-1].range.fences - before[0]
        found = sum(each.record.headers.get("ce_type") == FENCE for each in self._bundle.records)
        if found != expected:
            start, end = ranges[0].range.start, ranges[-1].range.end
            self._found(
                Rule.BUNDLE_FENCES, None, f"expected {expected} fences from {start} to {end}, but found {found}"
            )

    def _check_run(self, version: str) -> tuple[EventsAudit, str]:
        """Check the rules of the run; return what was counted, and where the run stands."""
        bundle = self._bundle
        ended = EndedInMemory()
        place = bundle.place
        events = EventsAudit(
            place.partition, place.partitions, self._findings, self._graphs, ended, whole=False
        )  # fmt: skip
        for each in bundle.records:
            if each.record.key in (bundle.run, FENCE_KEY):
                events.take(each.record)
        run = events.last
        if run is None:
            self._found(Rule.BUNDLE_CONTENTS, None, "expected the run's commits from the first on, but none counts")
        elif run.version != version:
            text = f"expected the definition of version {run.version}, but it is of {version}"
            self._found(Rule.BUNDLE_DEFINITION, None, text)
        return events, "" if run is None else run.status

    def _compare(self, against: Roots) -> None:
        """Check that the bundle's ranges are those that were written down."""
        bundle = self._bundle
        place = bundle.place
        if against.identity != place.identity:
            self._found(Rule.LOG_DIFFERS, None, f"expected the log {against.identity}, but found {place.identity}")
        stored = next((each for each in against.partitions if each.place[1:] == place[1:]), None)
        if stored is None:
            self._found(Rule.LOG_DIFFERS, None, f"expected partition {place.partition} among the roots, but it is not")
            return
        if stored.root == bundle.root:
            return
        known = {each.start: each for each in stored.ranges}
        for proved in bundle.ranges:
            stretch = proved.range
            same = known.get(stretch.start)
            if same is None or same.end != stretch.end:
                text = f"expected a root of offsets {stretch.start} to {stretch.end - 1} in the file, but found none"
                self._found(Rule.ROOT_UNKNOWN, stretch.start, text)
            elif same != stretch:
                text = f"expected root {same.root.hex()} of offsets {stretch.start} to {stretch.end - 1}"
                self._found(Rule.ROOT_DIFFERS, stretch.start, f"{text}, but found {stretch.root.hex()}")


def _start(proved: ProvedRange) -> int:
    return proved.range.start
