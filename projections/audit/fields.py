"""Reading a file's JSON field by field: what is missing or strange is said with its place."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import orjson

from engine.errors import RunlineError

Refuse = Callable[[str], RunlineError]
"""Makes the error for a text."""


class Fields:
    """An object of a file.

    Args:
        data: What is expected to be an object.
        place: Where it stands, such as `records[3]`; empty for the whole file.
        names: The names that it must have, and no others.
        refuse: Makes the error.

    Raises:
        RunlineError: It is no object, or has other names.
    """

    def __init__(self, data: object, place: str, names: set[str], refuse: Refuse) -> None:
        self._place = place
        self._refuse = refuse
        if not isinstance(data, dict):
            raise refuse(f"expected an object at {place or 'the beginning'}, but found {_shown(data)}.")
        if missing := sorted(names - data.keys()):
            raise refuse(f"expected {', '.join(missing)} {self._where}, but found nothing.")
        if strange := sorted(map(str, data.keys() - names)):
            raise refuse(
                f"expected only {', '.join(sorted(names))} {self._where}, but found {', '.join(strange)[:200]}."
            )
        self._data = data

    def text(self, name: str) -> str:
        """Return a text."""
        value = self._data[name]
        if not isinstance(value, str):
            raise self._wrong(name, "a text", value)
        return value

    def number(self, name: str, least: int = 0) -> int:
        """Return a whole number that is not below the least one, and fits 63 bits."""
        value = self._data[name]
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 1 << 63:
            raise self._wrong(name, f"a whole number from {least} on", value)
        return value

    def hash(self, name: str) -> bytes:
        """Return a SHA-256, written as 64 hexadecimal digits."""
        return as_hash(self._data[name], self._name(name), self._refuse)

    def list(self, name: str) -> Iterator[tuple[str, object]]:
        """Yield the items of a list, each with its place."""
        value = self._data[name]
        if not isinstance(value, list):
            raise self._wrong(name, "a list", value)
        return ((f"{self._name(name)}[{number}]", item) for number, item in enumerate(value))

    def texts(self, name: str) -> Mapping[str, str]:
        """Return an object whose values are texts."""
        value = self._data[name]
        if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
            raise self._wrong(name, "an object with texts", value)
        return value

    def raw(self, name: str) -> object:
        """Return whatever stands there."""
        return self._data[name]

    @property
    def _where(self) -> str:
        return f"in {self._place}" if self._place else "at the beginning"

    def _name(self, name: str) -> str:
        return f"{self._place}.{name}" if self._place else name

    def _wrong(self, name: str, wanted: str, found: object) -> RunlineError:
        return self._refuse(f"expected {wanted} at {self._name(name)}, but found {_shown(found)}.")


def as_hash(value: object, place: str, refuse: Refuse) -> bytes:
    """Return a SHA-256 from its 64 lower-case hexadecimal digits."""
    if isinstance(value, str) and len(value) == 64 and value.isascii() and value == value.lower():  # noqa: PLR2004 - digits of a SHA-256
        try:
            return bytes.fromhex(value)
        except ValueError:
            pass
    raise refuse(f"expected 64 hexadecimal digits at {place}, but found {_shown(value)}.")


def read_json(path: Path, bytes_max: int, refuse: Refuse) -> object:
    """Return the JSON of a file that is not larger than a limit.

    Raises:
        RunlineError: It cannot be read, is too large or no JSON.
    """
    try:
        with path.open("rb") as file:
            data = file.read(bytes_max + 1)
    except OSError as error:
        raise refuse(f"it cannot be read: {error.strerror}.") from error
    if len(data) > bytes_max:
        raise refuse(f"expected at most {bytes_max} bytes, but it has more.")
    try:
        value: object = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise refuse(f"expected whole JSON, but {error}.") from error
    return value


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."  # noqa: PLR2004 - fits a line
