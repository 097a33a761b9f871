"""Violations: what breaks which rule, and where."""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple, TypedDict

from engine.limits import AUDIT_VIOLATIONS_SHOWN
from projections.audit.rules import Rule


class Violation(NamedTuple):
    """One break of a rule.

    Attributes:
        rule: The rule.
        topic: Where.
        partition: Where.
        offset: Where, or None when it concerns no single record.
        run: The run, or an empty text.
        text: What was expected, and what was found.
    """

    rule: Rule
    topic: str
    partition: int
    offset: int | None
    run: str
    text: str


class SavedFindings(TypedDict):
    """Findings as JSON."""

    shown: list[list[object]]
    counts: dict[str, int]


class Findings:
    """The violations of one partition: all are counted, the first ones kept.

    Attributes:
        shown: The first ones.
        counts: How many there are of each rule.
    """

    def __init__(self, topic: str, partition: int) -> None:
        self._topic = topic
        self._partition = partition
        self.shown: list[Violation] = []
        self.counts: Counter[Rule] = Counter()

    def add(self, rule: Rule, offset: int | None, run: str, text: str) -> None:
        """Count a violation, and keep it when it is among the first."""
        self.counts[rule] += 1
        if len(self.shown) < AUDIT_VIOLATIONS_SHOWN:
            self.shown.append(Violation(rule, self._topic, self._partition, offset, run, text))

    def save(self) -> SavedFindings:
        """Return all of it as JSON."""
        return {"shown": [list(each) for each in self.shown], "counts": {str(k): v for k, v in self.counts.items()}}

    def restore(self, saved: SavedFindings) -> None:
        """Take over what `save` gave."""
        self.shown = [_violation(each) for each in saved["shown"]]
        self.counts = Counter({Rule(name): count for name, count in saved["counts"].items()})


def _violation(row: list[object]) -> Violation:
    rule, topic, partition, offset, run, text = row
    assert isinstance(partition, int)
    assert offset is None or isinstance(offset, int)
    return Violation(Rule(str(rule)), str(topic), partition, offset, str(run), str(text))


def violation_json(violation: Violation) -> Mapping[str, object]:
    """Return a violation as it stands in the JSON report."""
    return {**violation._asdict(), "rule": str(violation.rule)}
