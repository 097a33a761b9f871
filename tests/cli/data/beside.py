"""An application beside a workflow file; it must never be imported unasked."""

raise AssertionError("imported without being asked for")

registry = None
