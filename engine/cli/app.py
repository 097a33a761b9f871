"""The commands, each imported when it is called, and the way from arguments to an exit code."""

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Sequence
from typing import Final

from cyclopts import App, CycloptsError

from engine.cli.exit_codes import SUCCESS
from engine.cli.output import console

_THREADS_GRACE_SECONDS: Final = 1.0
"""How long threads that block the interpreter's end may take to finish."""

_COMMANDS: Final = (
    ("engine.cli.execute:run", "Publish a workflow file, run it, follow it and print its output."),
    ("engine.cli.execute:start", "Start a created run and follow it until it ends."),
    ("engine.cli.execute:wait", "Follow open runs until they end; alone, go on with them after Ctrl-C or a crash."),
    ("projections.cli.executor:executor", "Execute runs until SIGTERM or Ctrl-C; on Kafka any number share the work."),
    ("engine.cli.write:publish", "Publish a workflow file."),
    ("engine.cli.write:create", "Create a run of a published workflow, to be started later."),
    ("engine.cli.write:cancel", "Cancel a run."),
    ("projections.cli.show:show", "Show one run: timeline, errors, output; as it stood before, too."),
    ("projections.cli.runs:runs", "List runs, the newest first. Works beside a running engine."),
    ("projections.cli.work:work", "List what runs wait for, the longest waiting first. Works beside a running engine."),
    ("projections.cli.projections:projections", "Keep views of a log fresh: projections run, projections status."),
    ("projections.cli.rebuild:rebuild", "Fold the whole log into new views, which take the place of those there."),
    ("projections.cli.replay:replay", "Fold and decide the log, a run or a time once more, and compare."),
    ("projections.graph.command:graph", "Draw a workflow or a run as SVG. Works beside a running engine."),
    ("projections.audit.command:audit", "Verify every record of the log, or of a bundle that export wrote."),
    ("projections.audit.command:export", "Write a run's bundle: its history, with the proof that it is on the log."),
    ("consumers.cli.follow:follow", "Call progress services with every change until SIGTERM or Ctrl-C."),
    ("consumers.cli.parked:parked", "What services could not deal with: parked list, show, retry, skip."),
    ("engine.cli.validate:validate", "Check a workflow file and list everything that is wrong with it."),
    ("engine.cli.doctor:doctor", "Check this installation and the log, one line per check."),
    ("engine.cli.config:config", "Print the settings in force and where each comes from."),
    ("engine.cli.topics:topics", "Plan and make the topics of a log on Kafka: topics plan, topics apply."),
    ("engine.cli.broker:broker", "Start Kafka brokers to develop and test on: broker up."),
)


def make_app() -> App:
    """Return the command line; no command's module is imported yet."""
    app = App(
        name="runline",
        help="An event-sourced workflow engine on a message log.",
        help_epilogue=(
            "Exit codes: 0 success, 1 a run failed or was cancelled, or something differs or is broken, 2 usage, "
            "3 operating error."
        ),
        help_format="plaintext",
        version=_version,
        suppress_keyboard_interrupt=False,
    )
    for position, (place, text) in enumerate(_COMMANDS):
        app.command(place, name=place.rpartition(":")[2], help=text, sort_key=position)
    return app


def invoke(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code; what goes wrong is printed, never raised.

    Args:
        arguments: The words behind `runline`.
    """
    # Known before parsing, because a command line that cannot be parsed is answered in the same form.
    as_json, verbose = "--json" in arguments, "--verbose" in arguments
    try:
        code = make_app()(
            list(arguments),
            # Help and version go through it, too: a reader that has seen enough is no error for them either.
            console=console(stderr=False),
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
    except CycloptsError as error:
        from engine.cli.failures import report_usage  # noqa: PLC0415 - costs nothing where nothing fails

        return report_usage(error, as_json=as_json)
    except BaseException as error:  # noqa: BLE001 - the last place that can tell the user; it swallows nothing
        from engine.cli.failures import report  # noqa: PLC0415 - the same

        return report(error, as_json=as_json, verbose=verbose)
    return code if isinstance(code, int) else SUCCESS


def main() -> None:
    """Run the command line of this process and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets its number rather than a traceback.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    arguments = sys.argv[1:]
    code = invoke(arguments)
    if "--json" in arguments:
        # The document is out: what a function that hangs in a thread still prints must not come behind it.
        sys.stdout = sys.stderr
    _leave_hanging_threads(code)
    sys.exit(code)


def _leave_hanging_threads(code: int) -> None:
    """End the process now when a function that hangs in a thread would keep it from ending."""
    deadline = time.monotonic() + _THREADS_GRACE_SECONDS
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                _end_now(code)


def _end_now(code: int) -> None:
    logging.shutdown()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - only --version needs it

    try:
        return version("runline")
    except PackageNotFoundError:
        return "not installed as a distribution"
