"""The closed table of typed values: what JSON does not know, and the one text that each has on the log.

| `$type` | Python | text |
|---|---|---|
| `datetime` | datetime | ISO 8601, such as `2026-03-01T09:30:00.000001+01:00`; without an offset it is local time |
| `date` | date | `2026-03-01` |
| `time` | time | `09:30:00`, with an offset when it has one |
| `timedelta` | timedelta | seconds as an XML Schema duration, exact to the microsecond: `PT90S`, `-PT0.000001S` |
| `uuid` | UUID | `8-4-4-4-12` hexadecimal digits |
| `decimal` | Decimal | `1.50`, `-0`, `1E+9`: digits, sign and exponent are kept |
| `bytes` | bytes | base64 with padding |

A zone becomes its offset at that instant, its name is not kept; neither is `fold`, which only chose the offset.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple, NoReturn, cast
from uuid import UUID

from engine.context.values import shown

_DATE: Final = r"\d{4}-\d\d-\d\d"
# Hour 24 is refused here because Python's versions differ in reading it.
_LOCAL: Final = r"([01]\d|2[0-3]):\d\d:\d\d(\.\d{1,6})?"
_TIME: Final = rf"{_LOCAL}(Z|[+-]\d\d:\d\d(:\d\d(\.\d{{6}})?)?)?"
_USUAL_TIME: Final = rf"{_LOCAL}(Z|[+-]\d\d:\d\d(:\d\d)?)?"
_MICROSECONDS: Final = 1_000_000


class TypedForm(NamedTuple):
    """One line of the table.

    Attributes:
        name: The `$type`.
        type: The Python class; its subclasses are other types.
        pattern: The texts that can be read.
        example: One of them, for error texts.
        write: Gives the text of a value; raises ValueError with a reason for a value that has none.
        usual: Those that `read` reads.
        read: Gives the value of a text; raises ValueError, OverflowError or InvalidOperation.
        read_rare: The same for the others, and raises for any other text.
    """

    name: str
    type: type
    pattern: re.Pattern[str]
    example: str
    write: Callable[[object], str]
    usual: re.Pattern[str]
    read: Callable[[str], object]
    read_rare: Callable[[str], object]

    def value(self, text: object) -> object:
        """Return the value that the text stands for.

        Raises:
            ValueError: It is no text of this form.
        """
        if isinstance(text, str):
            try:
                return self.read(text) if self.usual.fullmatch(text) else self.read_rare(text)
            except (ValueError, OverflowError, InvalidOperation):
                pass
        raise ValueError(f"expected a text such as {self.example!r}, but found {shown(text)}")


def _write_moment(value: object) -> str:
    moment = cast("datetime | time", value)
    if moment.tzinfo is not None and moment.utcoffset() is None:
        raise ValueError(f"expected a time whose zone has an offset of its own, but found {shown(value)}")
    return moment.isoformat()


def _read_fine_datetime(text: str) -> datetime:
    local, zone = _split(_FINE_DATETIME, text)
    return datetime.fromisoformat(local).replace(tzinfo=zone)


def _read_fine_time(text: str) -> time:
    local, zone = _split(_FINE_TIME, text)
    return time.fromisoformat(local).replace(tzinfo=zone)


def _split(pattern: re.Pattern[str], text: str) -> tuple[str, timezone]:
    """Return a text without its offset, and the offset: fromisoformat takes one below a second for none at all."""
    found = pattern.fullmatch(text)
    if found is None:
        raise ValueError(f"{text} is not of the form")
    hours, minutes, seconds, microseconds = map(int, found.group("hours", "minutes", "seconds", "microseconds"))
    offset = timedelta(hours=hours, minutes=minutes, seconds=seconds, microseconds=microseconds)
    return found["local"], timezone(-offset if found["sign"] == "-" else offset)


def _write_date(value: object) -> str:
    return cast("date", value).isoformat()


def _write_timedelta(value: object) -> str:
    delta = cast("timedelta", value)
    total = (delta.days * 86_400 + delta.seconds) * _MICROSECONDS + delta.microseconds
    seconds, rest = divmod(abs(total), _MICROSECONDS)
    fraction = f".{rest:06}" if rest else ""
    return f"{'-' if total < 0 else ''}PT{seconds}{fraction}S"


def _read_timedelta(text: str) -> timedelta:
    seconds, _, fraction = text.lstrip("-")[2:-1].partition(".")
    delta = timedelta(seconds=int(seconds), microseconds=int(fraction.ljust(6, "0")))
    return -delta if text.startswith("-") else delta


def _write_decimal(value: object) -> str:
    number = cast("Decimal", value)
    if not number.is_finite():
        raise ValueError(f"expected a finite Decimal, but found {number}")
    # The decimal module's own settings may ask for a small e.
    return str(number).upper()


def _read_decimal(text: str) -> Decimal:
    number = Decimal(text)
    if not number.is_finite():
        raise ValueError("the exponent is too large")
    return number


def _write_bytes(value: object) -> str:
    return b64encode(cast("bytes", value)).decode()


def _read_bytes(text: str) -> bytes:
    data = b64decode(text, validate=True)
    if b64encode(data).decode() != text:
        raise ValueError("bits are set that no byte has")
    return data


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.ASCII)


def _read_nothing(text: str) -> NoReturn:
    raise ValueError(f"{text} is not of the form")


def _form(  # noqa: PLR0917 - by position, so that the table of forms can be read in columns
    name: str,
    type_: type,
    pattern: re.Pattern[str],
    example: str,
    write: Callable[[object], str],
    read: Callable[[str], object],
    usual: re.Pattern[str] | None = None,
    read_rare: Callable[[str], object] = _read_nothing,
) -> TypedForm:
    return TypedForm(name, type_, pattern, example, write, usual or pattern, read, read_rare)


_FINE_OFFSET: Final = r"(?P<sign>[+-])(?P<hours>\d\d):(?P<minutes>\d\d):(?P<seconds>\d\d)\.(?P<microseconds>\d{6})"
_FINE_DATETIME: Final = _pattern(f"(?P<local>{_DATE}T{_LOCAL}){_FINE_OFFSET}")
_FINE_TIME: Final = _pattern(f"(?P<local>{_LOCAL}){_FINE_OFFSET}")

FORMS: Final = (
    _form(
        "datetime",
        datetime,
        _pattern(f"{_DATE}T{_TIME}"),
        "2026-03-01T09:30:00+01:00",
        _write_moment,
        datetime.fromisoformat,
        _pattern(f"{_DATE}T{_USUAL_TIME}"),
        _read_fine_datetime,
    ),
    _form("date", date, _pattern(_DATE), "2026-03-01", _write_date, date.fromisoformat),
    _form(
        "time",
        time,
        _pattern(_TIME),
        "09:30:00",
        _write_moment,
        time.fromisoformat,
        _pattern(_USUAL_TIME),
        _read_fine_time,
    ),
    _form(
        "timedelta",
        timedelta,
        _pattern(r"-?PT\d{1,14}(\.\d{1,6})?S"),
        "-PT5.000001S",
        _write_timedelta,
        _read_timedelta,
    ),
    _form("uuid", UUID, _pattern(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"), str(UUID(int=0)), str, UUID),
    _form("decimal", Decimal, _pattern(r"-?\d+(\.\d+)?(E[+-]?\d+)?"), "-1.50", _write_decimal, _read_decimal),
    _form("bytes", bytes, _pattern("[A-Za-z0-9+/]*={0,2}"), "aGVsbG8=", _write_bytes, _read_bytes),
)
BY_TYPE: Final = {form.type: form for form in FORMS}
BY_NAME: Final = {form.name: form for form in FORMS}
