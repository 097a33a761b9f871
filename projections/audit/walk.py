"""A walk through one partition: what holds for every record of every topic, and the ranges."""

from collections.abc import Callable

from engine.limits import AUDIT_CLOCKS_SECONDS
from engine.log.port import LogRecord
from projections.audit.findings import Findings
from projections.audit.ranges import Ranges
from projections.audit.rules import Rule


class Walk:
    """Takes the records of a partition in order.

    Args:
        topic: The topic.
        partition: The partition.
        start: The first offset that there is.
        end: The offset to stop before.
        compacted: Whether records may be missing, as in a topic that keeps the last record of each key.

    Attributes:
        findings: The violations.
        ranges: The ranges.
        position: The offset that is expected next.
        records: How many there were.
        timestamp: The highest one.
    """

    def __init__(self, topic: str, partition: int, start: int, end: int, *, compacted: bool = False) -> None:
        self.topic = topic
        self.partition = partition
        self.start = start
        self.end = end
        self._compacted = compacted
        self.begin_again()

    def begin_again(self) -> None:
        """Go back to the start, and forget what was found."""
        self.findings = Findings(self.topic, self.partition)
        self.ranges = Ranges()
        self.position = self.start
        self.records = 0
        self.timestamp = -1
        self._damaged: set[int] = set()

    def take(self, record: LogRecord, judge: Callable[[LogRecord], None] | None) -> bytes:
        """Check a record, let somebody judge it, and return its hash."""
        offset = record.offset
        if self._damaged:
            self._pass_damaged()
        if offset != self.position and not (self._compacted and offset > self.position):
            self.findings.add(Rule.OFFSET_GAP, offset, "", f"expected offset {self.position}, but found {offset}")
        if record.timestamp < self.timestamp - AUDIT_CLOCKS_SECONDS * 1000:
            text = f"expected a time from about {self.timestamp} on, but found {record.timestamp}"
            self.findings.add(Rule.TIMESTAMP_BACK, offset, "", text)
        else:
            # Another broker with another clock may lead the partition now.
            self.timestamp = max(self.timestamp, record.timestamp)
        if judge is not None:
            judge(record)
        self.records += 1
        self.position = offset + 1
        return self.ranges.take(record)

    def damaged(self, offset: int, text: str) -> None:
        """Take note of an offset that cannot be read."""
        self.findings.add(Rule.LOG_DAMAGED, offset, "", text)
        self._damaged.add(offset)

    def finish(self) -> None:
        """Take note of records that are missing at the end."""
        self._pass_damaged()
        if self.position < self.end and not self._compacted:
            self.findings.add(Rule.OFFSET_GAP, self.position, "", f"expected records up to {self.end}, but found none")

    def _pass_damaged(self) -> None:
        while self.position in self._damaged:
            self._damaged.discard(self.position)
            self.position += 1
