"""`doctor`: whether this installation and the data directory are fit to work, one line per check."""

from pathlib import Path

from engine.cli.checks import (
    Check,
    check_dependencies,
    check_directory,
    check_disk,
    check_lock,
    check_log,
    check_names,
    check_python,
    check_terminal,
)
from engine.cli.exit_codes import OPERATING, SUCCESS
from engine.cli.options import ENGINE_OPTIONS, EngineOptions
from engine.errors import RunlineError


def doctor(*, options: EngineOptions = ENGINE_OPTIONS) -> int:
    """Check this installation and the data directory, one line per check; exit code 3 when one fails."""
    output = options.output()
    data = options.load().settings.data
    checks = [
        check_python(),
        check_dependencies(),
        check_names(Path.cwd()),
        check_terminal(),
        check_directory(data),
        check_lock(data),
        check_disk(data),
        check_log(data),
        _check_application(options),
    ]
    for check in checks:
        output.line(f"{'ok    ' if check.ok else 'FAILED'} {check.name}: {check.found}", "" if check.ok else "red")
    ok = all(check.ok for check in checks)
    output.document({"ok": ok, "checks": [check._asdict() for check in checks]})
    return SUCCESS if ok else OPERATING


def _check_application(options: EngineOptions) -> Check:
    name = options.load().settings.app
    if name is None:
        return Check("application", ok=True, found="none is named")
    try:
        options.registry()
    except RunlineError as error:
        return Check("application", ok=False, found=str(error))
    return Check("application", ok=True, found=f"{name} can be loaded")
