"""The table of upcasters: what it makes of events, and which mistakes in it are found when it is made."""

import re
from collections.abc import Mapping

import pytest

from engine.core.events import Event
from engine.core.upcasters import (
    UPCASTERS,
    Fields,
    Upcaster,
    UpcastError,
    Upcasters,
    UpcastersInvalidError,
    types_of_today,
)
from projections.audit.shape import is_known

TODAY = ("run.made.v3", "run.ended", "trace.done")


def rename(before: str, after: str) -> Upcaster:
    """Return an upcaster from one type to another that changes nothing else."""
    return Upcaster(before, after, lambda fields: fields)


def words(fields: Fields) -> Fields:
    """Let the first version's `name` be a list of words."""
    assert isinstance(fields["name"], str)
    return {"words": fields["name"].split()}


def counted(fields: Fields) -> Fields:
    """Let the second version's words be counted."""
    assert isinstance(fields["words"], list)
    return {**fields, "count": len(fields["words"])}


CHAIN = (Upcaster("run.made", "run.made.v2", words), Upcaster("run.made.v2", "run.made.v3", counted))


def upcast(table: Upcasters, *events: Mapping[str, object]) -> list[Event]:
    return table.upcast(events)  # type: ignore[arg-type]  # events of types that the product does not have


def test_events_of_every_earlier_version_become_those_of_today_in_their_places() -> None:
    table = Upcasters(TODAY, CHAIN)
    third = {"type": "run.made.v3", "words": ["a", "b"], "count": 2}
    other, unknown = {"type": "run.ended"}, {"type": "run.made.v4", "words": 7}
    first, second = {"type": "run.made", "name": "a b"}, {"type": "run.made.v2", "words": ["a", "b"]}
    assert upcast(table, first, other, second, third, unknown) == [third, other, third, third, unknown]
    assert (first, second) == ({"type": "run.made", "name": "a b"}, {"type": "run.made.v2", "words": ["a", "b"]})
    kinds = ["run.made", "run.made.v2", "run.made.v3", "run.ended", "run.made.v4"]
    assert [table.type_of(kind) for kind in kinds] == ["run.made.v3"] * 3 + ["run.ended", "run.made.v4"]


def test_an_event_that_an_upcaster_cannot_read_is_named_with_the_reason() -> None:
    table = Upcasters(TODAY, (Upcaster("run.made", "run.made.v2", lambda _: {"words": 1 / 0}), CHAIN[1]))
    with pytest.raises(UpcastError, match=r"an event run\.made that can be read, but ZeroDivisionError"):
        upcast(table, {"type": "run.made", "name": "a"})
    with pytest.raises(UpcastError, match=r"run\.made that can be read, but KeyError\('name'\)"):
        upcast(Upcasters(TODAY, CHAIN), {"type": "run.made"})


@pytest.mark.parametrize(
    ("upcasters", "mistake"),
    [
        ((), "expected an upcaster of run.made.v2, which came before run.made.v3, but there is none"),
        (CHAIN[:1], "expected run.made to lead to what is written today or upcast, but run.made.v2 is neither"),
        (CHAIN[1:], "expected an upcaster of run.made, which came before run.made.v2, but there is none"),
        ((*CHAIN, CHAIN[0]), "expected one upcaster of run.made, but found two"),
        ((*CHAIN, rename("run.gone", "run.went")), "expected run.gone to lead to what is written today or upcast, but"),
        (
            (*CHAIN, rename("trace.done", "trace.over")),
            "expected trace.done to be read as it is, because it is written",
        ),
        (
            (*CHAIN, rename("trace.begun", "run.ended")),
            "expected trace.begun to stay an event of a trace, but it leads",
        ),
        (
            (rename("run.made", "run.made.v3"), CHAIN[1]),
            "expected run.made to lead to version 2, but it leads to run.made.v3",
        ),
        (
            (CHAIN[0], rename("run.made.v2", "run.made")),
            "expected a way to an event of today, but found a circle: run.made -> run.made.v2 -> run.made",
        ),
        (
            (*CHAIN, rename("run.b", "run.c"), rename("run.c", "run.a"), rename("run.a", "run.b")),
            "found a circle: run.a -> run.b -> run.c -> run.a",
        ),
        ((*CHAIN, rename("run.b", "run.b")), "found a circle: run.b -> run.b"),
        ((*CHAIN, rename("trace.old.v3", "trace.done")), "expected an upcaster of trace.old.v2, which came before"),
    ],
)
def test_a_table_with_a_mistake_cannot_be_made(upcasters: tuple[Upcaster, ...], mistake: str) -> None:
    with pytest.raises(UpcastersInvalidError, match=re.escape(mistake)):
        Upcasters(TODAY, upcasters)


def test_all_mistakes_are_named_at_once_and_a_circle_only_once() -> None:
    circle = (rename("run.a", "run.b"), rename("run.b", "run.a"))
    with pytest.raises(UpcastersInvalidError) as refusal:
        Upcasters(TODAY, (*circle, CHAIN[1]))
    text = str(refusal.value)
    assert text.count("circle") == 1
    assert "upcaster of run.made," in text


def test_a_name_that_has_changed_is_followed_too() -> None:
    table = Upcasters(
        TODAY, (*CHAIN, rename("trace.finished", "trace.finished.v2"), rename("trace.finished.v2", "trace.done"))
    )
    assert upcast(table, {"type": "trace.finished", "x": 1}) == [{"type": "trace.done", "x": 1}]


def test_the_product_reads_what_it_writes_as_it_is_and_the_audit_knows_all_that_it_reads() -> None:
    types = types_of_today()
    assert "trace.succeeded" in types
    assert len(types) == len(set(types))
    assert all(UPCASTERS.type_of(kind) == kind for kind in types)
    assert all(map(is_known, [*types, *UPCASTERS.earlier]))
