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
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple, cast
from uuid import UUID

from engine.context.values import shown

_DATE: Final = r"\d{4}-\d\d-\d\d"
# Hour 24 is refused here because Python's versions differ in reading it.
_TIME: Final = r"([01]\d|2[0-3]):\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d(:\d\d(\.\d{6})?)?)?"
_MICROSECONDS: Final = 1_000_000


class TypedForm(NamedTuple):
    """One line of the table.

    Attributes:
        name: The `$type`.
        type: The Python class; its subclasses are other types.
        pattern: The texts that can be read.
        example: One of them, for error texts.
        write: Gives the text of a value; raises ValueError with a reason for a value that has none.
        read: Gives the value of a text that fits the pattern; raises ValueError, OverflowError or InvalidOperation.
    """

    name: str
    type: type
    pattern: re.Pattern[str]
    example: str
    write: Callable[[object], str]
    read: Callable[[str], object]

    def value(self, text: object) -> object:
        """Return the value that the text stands for.

        Raises:
            ValueError: It is no text of this form.
        """
        if isinstance(text, str) and self.pattern.fullmatch(text):
            try:
                return self.read(text)
            except (ValueError, OverflowError, InvalidOperation):
                pass
        raise ValueError(f"expected a text such as {self.example!r}, but found {shown(text)}")


def _write_moment(value: object) -> str:
    moment = cast("datetime | time", value)
    if moment.tzinfo is not None and moment.utcoffset() is None:
        raise ValueError(f"expected a time whose zone has an offset of its own, but found {shown(value)}")
    return moment.isoformat()


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


FORMS: Final = (
    TypedForm(
        "datetime",
        datetime,
        _pattern(f"{_DATE}T{_TIME}"),
        "2026-03-01T09:30:00+01:00",
        _write_moment,
        datetime.fromisoformat,
    ),
    TypedForm("date", date, _pattern(_DATE), "2026-03-01", _write_date, date.fromisoformat),
    TypedForm("time", time, _pattern(_TIME), "09:30:00", _write_moment, time.fromisoformat),
    TypedForm(
        "timedelta",
        timedelta,
        _pattern(r"-?PT\d{1,14}(\.\d{1,6})?S"),
        "-PT5.000001S",
        _write_timedelta,
        _read_timedelta,
    ),
    TypedForm(
        "uuid", UUID, _pattern(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"), str(UUID(int=0)), str, UUID
    ),
    TypedForm("decimal", Decimal, _pattern(r"-?\d+(\.\d+)?(E[+-]?\d+)?"), "-1.50", _write_decimal, _read_decimal),
    TypedForm("bytes", bytes, _pattern("[A-Za-z0-9+/]*={0,2}"), "aGVsbG8=", _write_bytes, _read_bytes),
)
BY_TYPE: Final = {form.type: form for form in FORMS}
BY_NAME: Final = {form.name: form for form in FORMS}
