"""The audit: verifies a log, or one run's bundle, with code that shares nothing with the executor but the schemas."""

from projections.audit.audit import Audit, Progress, audit_log
from projections.audit.bundle import Bundle, read_bundle
from projections.audit.bundle_audit import BundleAudit, audit_bundle
from projections.audit.errors import BundleError, RootsError
from projections.audit.exporting import export_run
from projections.audit.findings import Violation
from projections.audit.roots import Comparison, Roots, compare
from projections.audit.rules import MEANINGS, Rule

__all__ = [
    "MEANINGS",
    "Audit",
    "Bundle",
    "BundleAudit",
    "BundleError",
    "Comparison",
    "Progress",
    "Roots",
    "RootsError",
    "Rule",
    "Violation",
    "audit_bundle",
    "audit_log",
    "compare",
    "export_run",
    "read_bundle",
]
