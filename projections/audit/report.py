"""The report of an audit: for people, and as a JSON document."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from rich.table import Table
from rich.text import Text

from engine.cli.output import Output
from engine.limits import AUDIT_VIOLATIONS_SHOWN
from projections.audit.audit import Audit
from projections.audit.bundle_audit import BundleAudit
from projections.audit.findings import Violation, violation_json
from projections.audit.roots import Comparison
from projections.audit.rules import Rule


@dataclass(frozen=True)
class Violations:
    """The violations of all that was audited.

    Attributes:
        shown: The first ones.
        counts: How many there are of each rule.
    """

    shown: Sequence[Violation]
    counts: Mapping[Rule, int]

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(self.counts.values())

    def json(self) -> Mapping[str, object]:
        """Return them as they stand in the JSON report."""
        rules = {str(rule): count for rule, count in sorted(self.counts.items())}
        return {"count": self.count, "rules": rules, "shown": [violation_json(each) for each in self.shown]}


def violations_of(audit: Audit, comparison: Comparison | None) -> Violations:
    """Return the violations that an audit and a comparison found."""
    counts: Counter[Rule] = Counter()
    shown: list[Violation] = []
    for each in audit.partitions:
        counts.update(each.violation_counts)
        shown += each.violations
    if comparison is not None:
        counts.update(each.rule for each in comparison.violations)
        shown += comparison.violations
    return Violations(shown[:AUDIT_VIOLATIONS_SHOWN], counts)


def audit_json(audit: Audit, comparison: Comparison | None, violations: Violations) -> Mapping[str, object]:
    """Return the JSON report of a log's audit."""
    return {
        "identity": audit.identity,
        "partitions": [
            {
                "topic": each.topic,
                "partition": each.partition,
                "start": each.start,
                "end": each.end,
                "records": each.records,
                "root": each.root.hex(),
                "counts": None if each.counts is None else asdict(each.counts),
            }
            for each in audit.partitions
        ],
        "compared": None if comparison is None else {
            "ranges": comparison.ranges,
            "gone": [asdict(each) for each in comparison.gone],
        },
        "violations": violations.json(),
    }  # fmt: skip


def print_audit(output: Output, audit: Audit, comparison: Comparison | None, violations: Violations) -> None:
    """Print the report of a log's audit for people."""
    table = Table(box=None, pad_edge=False)
    for name in ("partition", "offsets", "root"):
        table.add_column(name, no_wrap=True)
    for each in audit.partitions:
        offsets = f"{each.start} to {each.end - 1}" if each.end > each.start else "none"
        table.add_row(Text(f"{each.topic}/{each.partition}"), Text(offsets), Text(each.root.hex(), style="dim"))
    output.draw(table)
    found = [each.counts for each in audit.partitions if each.counts is not None]
    commits, accepted = sum(each.commits for each in found), sum(each.accepted for each in found)
    output.line(
        f"{_count(sum(each.runs for each in found), 'run')}, {sum(each.ended for each in found)} ended; "
        f"{_count(accepted, 'commit')} with {_count(sum(each.events for each in found), 'event')}, "
        f"{commits - accepted} more that do not count; {_count(sum(each.fences for each in found), 'fence')}, "
        f"{_count(sum(each.checkpoints for each in found), 'checkpoint')}"
    )
    if comparison is not None:
        output.line(f"{_count(comparison.ranges, 'range')} compared with the roots written down earlier")
        for gone in comparison.gone:
            output.line(
                f"gone: {gone.topic}/{gone.partition} offsets {gone.start} to {gone.end - 1}, as they should be"
            )
    records = sum(each.records for each in audit.partitions)
    _print_violations(output, violations, f"no violations in {_count(records, 'record')}")


def bundle_json(audit: BundleAudit) -> Mapping[str, object]:
    """Return the JSON report of a bundle's audit."""
    bundle = audit.bundle
    return {
        "run": bundle.run,
        "workflow": audit.workflow,
        "version": audit.version,
        "status": audit.status,
        "identity": bundle.place.identity,
        "partition": bundle.place.partition,
        "root": bundle.root.hex(),
        "counts": asdict(audit.counts),
        "violations": Violations(audit.violations, audit.violation_counts).json(),
    }


def print_bundle(output: Output, audit: BundleAudit) -> None:
    """Print the report of a bundle's audit for people."""
    bundle, counts = audit.bundle, audit.counts
    output.line(f"run {bundle.run} of {audit.workflow} version {audit.version}")
    output.line(
        f"{audit.status or 'no status'} after {_count(counts.accepted, 'commit')} with {_count(counts.events, 'event')}"
    )
    output.line(f"in partition {bundle.place.partition} with root {bundle.root.hex()}")
    violations = Violations(audit.violations, audit.violation_counts)
    _print_violations(output, violations, f"no violations in {_count(len(bundle.records), 'record')}")


def _print_violations(output: Output, violations: Violations, none: str) -> None:
    for each in violations.shown:
        output.line(f"{_where(each)}: {each.rule}: {each.text}", "red")
    if not violations.count:
        output.line(none, "green")
        return
    if (more := violations.count - len(violations.shown)) > 0:
        output.line(f"and {more} more")
    rules = ", ".join(f"{rule} {count}" for rule, count in _by_rule(violations.counts))
    output.line(f"{_count(violations.count, 'violation')}: {rules}", "red")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _by_rule(counts: Mapping[Rule, int]) -> Iterable[tuple[Rule, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _where(violation: Violation) -> str:
    place = f"{violation.topic}/{violation.partition}" if violation.topic else "log"
    offset = "" if violation.offset is None else f" offset {violation.offset}"
    return f"{place}{offset} run {violation.run}" if violation.run else f"{place}{offset}"
