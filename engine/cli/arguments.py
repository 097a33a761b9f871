"""The initial context from a command line: a file, and single values by path."""

import sys
from collections.abc import Sequence
from pathlib import Path

import orjson

from engine.cli.failures import ArgumentsError
from engine.context import ContextObject, Converters
from engine.limits import CONTEXT_BYTES_MAX
from engine.workflow.loader import parse

_FILE_BYTES_MAX = 2 * CONTEXT_BYTES_MAX
"""A file may be laid out and commented, but is not much larger than the context in it."""
_STDIN = "-"


def make_context(file: Path | None, settings: Sequence[str], converters: Converters | None) -> ContextObject:
    """Return the initial context of a run.

    Args:
        file: JSON, or YAML by its name's ending; typed values as `{"$type": ..., "value": ...}`; `-` is JSON on stdin.
        settings: `path=value` in order, put over what the file says. A value that is no JSON is a text.
        converters: The application's.

    Raises:
        ArgumentsError: The file cannot be read, or a setting has no `=`.
        ContextError: A value or path is none that a context can hold.
    """
    context = ContextObject(converters=converters) if file is None else _from_file(file, converters)
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals:
            raise ArgumentsError(f"Expected --set path=value, such as --set input.user_id=42, found {setting!r}.")
        context.set(path.strip(), _value(text, converters))
    return context


def _value(text: str, converters: Converters | None) -> object:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return ContextObject.deserialize(f'{{"value":{text}}}', converters).get("value")


def _from_file(file: Path, converters: Converters | None) -> ContextObject:
    try:
        if str(file) == _STDIN:
            data = sys.stdin.buffer.read(_FILE_BYTES_MAX + 1)
        else:
            with file.open("rb") as opened:
                data = opened.read(_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ArgumentsError(f"Expected a readable file with a context at {file}, found: {error.strerror}.") from error
    if len(data) > _FILE_BYTES_MAX:
        raise ArgumentsError(f"Expected at most {_FILE_BYTES_MAX} bytes in {file}, found more.")
    if file.suffix.lower() in {".yaml", ".yml"}:
        # As JSON, so that YAML is checked in the same way: limits, typed values, integers of 64 bits.
        data = _json(parse(data, "yaml", str(file)), file)
    return ContextObject.deserialize(data, converters)


def _json(data: object, file: Path) -> bytes:
    if not isinstance(data, dict):
        raise ArgumentsError(f"Expected an object with the names and values of a context in {file}.")
    try:
        return orjson.dumps(data)
    except TypeError as error:
        raise ArgumentsError(f"Expected integers of signed 64 bits in {file}, found: {error}.") from error
