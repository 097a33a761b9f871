"""The records of `rejections`, checked: each says which bytes were refused, and why."""

from engine.log.port import LogRecord
from projections.audit.findings import Findings
from projections.audit.rules import Rule
from projections.audit.shape import REJECTION, check_headers, is_decimal


class RejectionsAudit:
    """Checks the records of `rejections`.

    Args:
        findings: Told of violations.
        partitions: How many partitions `commands` has.
    """

    def __init__(self, findings: Findings, partitions: int) -> None:
        self._findings = findings
        self._partitions = partitions

    def take(self, record: LogRecord) -> None:
        """Check a record."""
        headers = record.headers

        def found(rule: Rule, text: str) -> None:
            self._findings.add(rule, record.offset, record.key, text)

        if headers.get("ce_type") != REJECTION:
            found(Rule.RECORD_UNKNOWN, f"expected a record of type {REJECTION}, but found {headers.get('ce_type')!r}")
            return
        if not check_headers(REJECTION, headers, found):
            return
        if not headers["code"] or not headers["reason"]:
            found(Rule.HEADER_WRONG, "expected a code and a reason, but found none")
        if headers["content-type"] not in {"application/json", "application/octet-stream"}:
            found(
                Rule.HEADER_WRONG, f"expected JSON or any bytes as content-type, not {headers['content-type'][:80]!r}"
            )
        if headers.get("ce_subject", "") != record.key:
            found(Rule.HEADER_WRONG, f"expected the key as ce_subject, but found {headers.get('ce_subject')!r}")
        numbers = [headers[name] for name in ("partition", "offset", "size")]
        if not all(map(is_decimal, numbers)) or headers["ce_id"] != f"{numbers[0]}/{numbers[1]}":
            found(Rule.REJECTION_PLACE, f"expected partition, offset and size, the first two as the id, not {numbers}")
        elif int(numbers[0]) >= self._partitions or int(numbers[2]) < len(record.value):
            text = (
                f"expected a partition below {self._partitions} and at least {len(record.value)} bytes, not {numbers}"
            )
            found(Rule.REJECTION_PLACE, text)
