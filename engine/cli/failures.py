"""What a command prints when it goes wrong, and its exit code."""

import traceback
from contextlib import suppress

from cyclopts import CycloptsError, UnknownCommandError
from rich.text import Text

from engine.application import ApplicationNameError
from engine.cli.exit_codes import OPERATING, SIGNALLED, USAGE
from engine.cli.interruption import StoppedError
from engine.cli.output import OutputError, console, print_json
from engine.cli.text import lines
from engine.errors import ContextError, DefinitionError, RegistryError, RunIdInvalidError, RunlineError

_USAGE_CODES = frozenset({"settings", "arguments", "argument", "cursor"})
_USAGE_ERRORS = (ApplicationNameError, ContextError, DefinitionError, RegistryError, RunIdInvalidError)
_INTERRUPT = 2


class ArgumentsError(RunlineError):
    """A command's arguments do not fit each other or what they name."""

    code = "arguments"


def report_usage(error: CycloptsError, *, as_json: bool) -> int:
    """Print what is wrong with the command line and return the exit code."""
    message, hint = str(error), "'runline --help' and 'runline COMMAND --help' tell more."
    if isinstance(error, UnknownCommandError) and error.unused_tokens and error.unused_tokens[0].startswith("-"):
        option = error.unused_tokens[0].partition("=")[0]
        message = f"Expected a command, but found the option {option}."
        hint = f"Options stand behind the command: runline COMMAND {option}. {hint}"
    _print("usage", message, hint, as_json=as_json)
    return USAGE


def report(error: BaseException, *, as_json: bool, verbose: bool) -> int:
    """Print an error and return the exit code.

    Args:
        error: What ended the command.
        as_json: Whether the answer is a JSON document on stdout.
        verbose: Whether tracebacks are shown.
    """
    # Where a document could not be printed, another one cannot be either.
    as_json = as_json and not isinstance(error, OutputError)
    if verbose and not isinstance(error, StoppedError):
        _errors("".join(traceback.format_exception(error)))
    match error:
        case StoppedError():
            _print("interrupted", str(error), error.hint, as_json=as_json)
            return SIGNALLED + error.signal
        case KeyboardInterrupt():
            _print("interrupted", "Interrupted; nothing was begun.", "", as_json=as_json)
            return SIGNALLED + _INTERRUPT
        case RunlineError():
            message = str(error).removesuffix(error.hint).rstrip() if error.hint else str(error)
            _print(error.code, message, error.hint, as_json=as_json)
            return USAGE if isinstance(error, _USAGE_ERRORS) or error.code in _USAGE_CODES else OPERATING
        case _:
            text = f"{type(error).__name__}: {error}".partition("\n")[0]
            hint = "" if verbose else "Run it again with --verbose to see where."
            _print("unexpected", text, hint, as_json=as_json)
            return OPERATING


def _print(code: str, message: str, hint: str, *, as_json: bool) -> None:
    if as_json:
        with suppress(OutputError):
            print_json({"error": {"code": code, "message": message, "hint": hint}})
            return
    _errors(f"error[{code}]: {message}", "bold red")
    if hint:
        _errors(f"hint: {hint}", "red")


def _errors(text: str, style: str = "") -> None:
    console(stderr=True).print(Text(lines(text), style=style), soft_wrap=True)
