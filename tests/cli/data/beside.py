"""An application beside a workflow file; it must never be imported unasked."""

registry = None

raise AssertionError("imported without being asked for")
