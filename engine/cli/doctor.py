"""`doctor`: whether this installation and the log are fit to work, one line per check."""

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
from engine.settings import Settings


def doctor(*, options: EngineOptions = ENGINE_OPTIONS) -> int:
    """Check this installation and the log, one line per check; exit code 3 when one fails."""
    output = options.output()
    settings = options.load().settings
    checks = [
        check_python(),
        check_dependencies(),
        check_names(Path.cwd()),
        check_terminal(),
        *_check_log(settings),
        _check_application(options),
    ]
    for check in checks:
        output.line(f"{'ok    ' if check.ok else 'FAILED'} {check.name}: {check.found}", "" if check.ok else "red")
    ok = all(check.ok for check in checks)
    output.document({"ok": ok, "checks": [check._asdict() for check in checks]})
    return SUCCESS if ok else OPERATING


def _check_log(settings: Settings) -> list[Check]:
    if isinstance(settings.data, str):
        # Only here: whoever has no brokers need not wait for their client to load.
        from engine.cli.kafka_checks import check_kafka  # noqa: PLC0415

        return check_kafka(settings.data, settings.kafka)
    check = (check_directory, check_lock, check_disk, check_log)
    return [each(settings.data) for each in check]


def _check_application(options: EngineOptions) -> Check:
    name = options.load().settings.app
    if name is None:
        return Check("application", ok=True, found="none is named")
    try:
        options.registry()
    except RunlineError as error:
        return Check("application", ok=False, found=str(error))
    return Check("application", ok=True, found=f"{name} can be loaded")
