"""Values that contexts can hold, for property tests: every built-in type to its edges."""

from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal

from hypothesis import strategies as st

from engine.context.values import TYPE, Wire, WireObject
from engine.limits import INTEGER_MAX, INTEGER_MIN

_day = timedelta(hours=24) - timedelta.resolution
offsets = (
    st.timedeltas(-_day, _day)
    | st.integers(-1_439, 1_439).map(lambda minutes: timedelta(minutes=minutes))
    | st.integers(-1_000_001, 1_000_001).map(lambda microseconds: timedelta(microseconds=microseconds))
)
zones = st.none() | st.builds(timezone, offsets)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = texts.filter(lambda name: name != TYPE)
floats = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, -0.0, 5e-324, -2.2e-308, 1e308, 1e22])
integers = st.integers(INTEGER_MIN, INTEGER_MAX) | st.sampled_from([INTEGER_MIN, INTEGER_MAX, 0, 1])
decimals = st.decimals(allow_nan=False, allow_infinity=False) | st.sampled_from(
    [Decimal("-0"), Decimal("0E-30"), Decimal("1E+9"), Decimal("-0.00"), Decimal("9" * 60), Decimal("1E-999999")]
)
json_scalars = st.none() | st.booleans() | integers | floats | texts
_local = [datetime.min, datetime.max]  # noqa: DTZ901 - local times are values too
typed = (
    st.datetimes(timezones=zones)
    | st.dates()
    | st.builds(time.replace, st.times(), tzinfo=zones)
    | st.timedeltas()
    | st.uuids()
    | decimals
    | st.binary(max_size=20)
    | st.sampled_from([timedelta.min, timedelta.max, *_local, date.min, date.max, time.max, b""])
)
values = st.recursive(
    json_scalars | typed,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
contexts = st.dictionaries(names, values, max_size=5)

_few_names = st.sampled_from(["a", "b", "", "a.b", "[0]", " "])
_leaves: list[Wire] = [None, False, True, 0, 1, 0.0, -0.0, 1.0, "", "x"]
_leaves += [
    {TYPE: "date", "value": "2026-03-01"},
    {TYPE: "date", "value": "2026-03-02"},
    {TYPE: "mine", "value": [1, {}]},
]


def _containers(inner: st.SearchStrategy[Wire]) -> st.SearchStrategy[Wire]:
    return st.lists(inner, max_size=12) | st.dictionaries(_few_names, inner, max_size=6)


_wires = st.recursive(st.sampled_from(_leaves), _containers, max_leaves=25)
wire_objects: st.SearchStrategy[WireObject] = st.dictionaries(_few_names, _wires, max_size=6)
"""Wire objects with few names and values, so that two of them have much in common."""


def exact(value: object) -> object:
    """Return something that is equal only for values of the same types that are equal to the last bit."""
    kind = type(value).__name__
    if isinstance(value, dict):
        return (kind, {name: exact(item) for name, item in value.items()})
    if isinstance(value, list):
        return (kind, [exact(item) for item in value])
    if isinstance(value, datetime | time):
        return (kind, value.isoformat(), value.utcoffset())
    return (kind, repr(value))
