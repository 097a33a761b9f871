from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal, localcontext
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given

from engine.context import ContextFloatError, ContextFormError, ContextList, ContextObject, ContextTimeError
from engine.context.check import check_wire
from tests.context.strategies import contexts, exact


def plain(value: object) -> object:
    """Return the value with dicts and lists in place of contexts."""
    if isinstance(value, ContextObject):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, ContextList):
        return [plain(item) for item in value]
    return value


@given(contexts)
def test_every_value_survives_json_exactly(values: dict[str, object]) -> None:
    context = ContextObject(values)
    assert exact(plain(context)) == exact(values)
    read = ContextObject.deserialize(context.serialize())
    assert exact(plain(read)) == exact(values)
    assert read == context == values
    assert read.serialize() == context.serialize()
    check_wire(context.to_wire())


@pytest.mark.parametrize(
    ("value", "name", "text"),
    [
        (datetime.fromisoformat("2026-03-01T09:30:00"), "datetime", "2026-03-01T09:30:00"),
        (datetime(2026, 3, 1, 9, 30, 0, 1, timezone(-timedelta(hours=1, seconds=5))), "datetime",
         "2026-03-01T09:30:00.000001-01:00:05"),
        (datetime(2026, 3, 1, 9, 30, tzinfo=timezone(timedelta(microseconds=1))), "datetime",
         "2026-03-01T09:30:00+00:00:00.000001"),
        (time(9, 30, 0, 1, timezone(-timedelta(microseconds=500_000))), "time", "09:30:00.000001-00:00:00.500000"),
        (time(9, 30, tzinfo=timezone(timedelta(hours=23, microseconds=1))), "time", "09:30:00+23:00:00.000001"),
        (datetime(2026, 7, 1, tzinfo=ZoneInfo("Europe/Berlin")), "datetime", "2026-07-01T00:00:00+02:00"),
        (date(1, 1, 1), "date", "0001-01-01"),
        (time(9, 30), "time", "09:30:00"),
        (timedelta(seconds=90), "timedelta", "PT90S"),
        (timedelta(seconds=-5, microseconds=-1), "timedelta", "-PT5.000001S"),
        (timedelta.min, "timedelta", "-PT86399999913600S"),
        (timedelta.max, "timedelta", "PT86399999999999.999999S"),
        (UUID(int=1), "uuid", "00000000-0000-0000-0000-000000000001"),
        (Decimal("-0.00"), "decimal", "-0.00"),
        (Decimal("1E+9"), "decimal", "1E+9"),
        (b"\xff\x00", "bytes", "/wA="),
    ],
)  # fmt: skip
def test_a_typed_value_stands_on_the_log_as_documented(value: object, name: str, text: str) -> None:
    context = ContextObject({"x": value})
    assert context.to_wire() == {"x": {"$type": name, "value": text}}
    read = ContextObject.from_wire(check_wire(context.to_wire()))["x"]
    assert read == value
    if isinstance(value, datetime | time):
        assert isinstance(read, type(value))
        assert (read.isoformat(), read.utcoffset()) == (text, value.utcoffset())


@pytest.mark.parametrize("value", [None, True, 1, 1.5, "https://example.org/", "2026-03-01", [1], {"a": 1}])
def test_what_json_knows_stands_plain(value: object) -> None:
    assert ContextObject({"x": value}).to_wire() == {"x": value}


@pytest.mark.parametrize("fold", [0, 1])
def test_an_ambiguous_hour_keeps_its_instant_but_neither_zone_name_nor_fold(fold: int) -> None:
    moment = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=fold)
    read = ContextObject({"x": moment}).get("x", datetime)
    assert read.timestamp() == moment.timestamp()
    assert read.utcoffset() == timedelta(hours=2 - fold)
    assert (read.fold, read.tzname()) == (0, f"UTC+0{2 - fold}:00")


def test_a_decimal_is_kept_whatever_the_decimal_settings_are() -> None:
    number = Decimal("-1.000000000000000000000000000000000000000001E+50")
    with localcontext(prec=3) as settings:
        settings.capitals = 0
        assert repr(ContextObject({"x": number}).get("x", Decimal)) == repr(number).replace("E", "e")
    assert repr(ContextObject({"x": number}).get("x", Decimal)) == repr(number)


@pytest.mark.parametrize("text", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_a_decimal_that_is_no_number_is_refused_by_name(text: str) -> None:
    with pytest.raises(ContextFloatError, match=f"a finite Decimal, but found {text} at 'a.b'"):
        ContextObject().set("a.b", Decimal(text))


def test_a_time_whose_zone_has_no_offset_of_its_own_is_refused() -> None:
    with pytest.raises(ContextTimeError, match=r"an offset of its own, but found .*Berlin.* at 'a.b'"):
        ContextObject().set("a.b", time(12, tzinfo=ZoneInfo("Europe/Berlin")))


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("datetime", "2026-03-01T09:30:00Z", datetime(2026, 3, 1, 9, 30, tzinfo=UTC)),
        ("datetime", "2026-03-01T09:30:00.5+01:00", datetime.fromisoformat("2026-03-01T09:30:00.500000+01:00")),
        ("datetime", "2026-03-01T09:30:00+00:00:00.000000", datetime(2026, 3, 1, 9, 30, tzinfo=UTC)),
        ("time", "09:30:00.123Z", time(9, 30, 0, 123_000, UTC)),
        ("timedelta", "PT0.5S", timedelta(seconds=0.5)),
        ("timedelta", "-PT0S", timedelta(0)),
        ("uuid", "0000000A-0000-0000-0000-000000000001", UUID("0000000a000000000000000000000001")),
        ("decimal", "007", Decimal(7)),
    ],
)
def test_other_writers_have_their_ways(name: str, text: str, value: object) -> None:
    wire = check_wire({"x": {"$type": name, "value": text}})
    assert exact(ContextObject.from_wire(wire)["x"]) == exact(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("datetime", "2026-03-01"), ("datetime", "20260301T093000"), ("datetime", "2026-W09-7T09:30:00"),
        ("datetime", "2026-02-30T00:00:00"), ("datetime", "2026-03-01T24:00:00"), ("datetime", ""),
        ("datetime", "2026-03-01T09:30:00.1234567"), ("datetime", "2026-03-01 09:30:00"),
        ("datetime", "2026-03-01T09:30"),
        ("datetime", "2026-03-01T09:30:00+24:00:00.000001"), ("datetime", "2026-03-01T09:30:00+00:00:00.001"),
        ("datetime", "2026-02-30T09:30:00+00:00:00.000001"), ("time", "24:00:00+00:00:00.000001"),
        ("datetime", "2026-03-01T09:30:00+25:00"), ("datetime", 1), ("datetime", None), ("datetime", {"a": 1}),
        ("date", "0000-01-01"), ("date", "2026-3-1"), ("date", "2026-03-01\n"), ("date", "\uff12026-03-01"),
        ("time", "25:00:00"), ("time", "09:30"),
        ("timedelta", "P1D"), ("timedelta", "PT1M"), ("timedelta", "PT1.S"), ("timedelta", "PT99999999999999S"),
        ("timedelta", "PT-5S"), ("timedelta", "PT1.0000001S"),
        ("uuid", "00000000000000000000000000000001"), ("uuid", "{00000000-0000-0000-0000-000000000001}"),
        ("decimal", "NaN"), ("decimal", "1_000"), ("decimal", " 1"), ("decimal", "1e5"),
        ("decimal", ""), ("decimal", "+1"),
        ("decimal", "1E99999999999999999999"), ("decimal", 1),
        ("bytes", "/wA"), ("bytes", "_wA="), ("bytes", "/wB="), ("bytes", "/w\nA="), ("bytes", "=="),
    ],
)  # fmt: skip
def test_a_wrong_text_of_a_typed_value_is_refused_with_its_path(name: str, text: object) -> None:
    with pytest.raises(ContextFormError, match=rf"not a {name} at 'a\[0\]': expected a text such as .* but found"):
        check_wire({"a": [{"$type": name, "value": text}]})
    context = ContextObject.from_wire({"a": [{"$type": name, "value": orjson.loads(orjson.dumps(text))}]})
    with pytest.raises(ContextFormError, match=rf"not a {name} at 'a\[0\]': expected a text such as"):
        context.get("a[0]")
