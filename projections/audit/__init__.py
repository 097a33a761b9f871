"""The audit: verifies a log, or one run's bundle, with code that shares nothing with the executor but the schemas."""

from projections.audit.audit import Audit, Progress, audit_log
from projections.audit.errors import BundleError, RootsError
from projections.audit.findings import Violation
from projections.audit.roots import Roots, compare
from projections.audit.rules import MEANINGS, Rule

__all__ = [
    "MEANINGS",
    "Audit",
    "BundleError",
    "Progress",
    "Roots",
    "RootsError",
    "Rule",
    "Violation",
    "audit_log",
    "compare",
]
