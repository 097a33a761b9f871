"""Upcasters: what earlier versions of Runline wrote, read as what this one writes.

The version of an event is part of its type: `trace.succeeded` is the first one, `trace.succeeded.v2` the next. So it
costs nothing where nothing has changed, and whoever does not know a version does not take it for another one. Every
reader gets commits by `engine.core.records.read_commit`, which leaves none but today's events in them; what is on the
log, and hashed, stays as it is.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, cast, get_args

from engine.core.events import Event
from engine.errors import RunlineError

Fields = Mapping[str, object]
"""What an event says, without its type."""

_VERSIONED: Final = re.compile(r"(?P<name>.+)\.v(?P<version>[2-9]|[1-9][0-9]+)")


class Upcaster(NamedTuple):
    """Makes an event of the next version out of one of an earlier version.

    Attributes:
        source: The type of the earlier version, such as `trace.succeeded`.
        target: The type of the next version, such as `trace.succeeded.v2`; another name where the event has got one.
        function: Returns what the event says in its next version. Pure: nothing but what it is given counts, and that
            stays as it is.
    """

    source: str
    target: str
    function: Callable[[Fields], Fields]


class UpcastError(RunlineError):
    """An event of an earlier version is not what its upcaster expects."""

    code = "event_unreadable"


class UpcastersInvalidError(ValueError):
    """Upcasters do not lead from every earlier version to one of today: a mistake in the code."""


class Upcasters:
    """All upcasters there are.

    Args:
        today: The types of events that this version writes.
        upcasters: From one version to the next.

    Attributes:
        earlier: The types of earlier versions, in the order of the table; whoever reads many commits looks here first.

    Raises:
        UpcastersInvalidError: A version is left out, leads nowhere, in a circle, or two ways; all mistakes are named.
    """

    __slots__ = ("_steps", "earlier")

    def __init__(self, today: Iterable[str], upcasters: Sequence[Upcaster]) -> None:
        if mistakes := _mistakes(frozenset(today), upcasters):
            raise UpcastersInvalidError("; ".join(mistakes))
        self._steps = {upcaster.source: upcaster for upcaster in upcasters}
        self.earlier = tuple(self._steps)

    def upcast(self, events: Sequence[Event]) -> list[Event]:
        """Return events as those of today, each in its place: it is addressed by its index.

        A type that nobody knows stays as it is: it is for whoever folds it to say so.

        Raises:
            UpcastError: An upcaster cannot read one of them.
        """
        steps = self._steps
        return [self._current(event) if event["type"] in steps else event for event in events]

    def type_of(self, kind: str) -> str:
        """Return the type of today that an event of a type is read as; the same when it is one, or is not known."""
        while (step := self._steps.get(kind)) is not None:
            kind = step.target
        return kind

    def _current(self, event: Event) -> Event:
        kind: str = event["type"]
        fields: Fields = {name: value for name, value in event.items() if name != "type"}
        while (step := self._steps.get(kind)) is not None:
            try:
                kind, fields = step.target, step.function(fields)
            except Exception as error:
                # One run cannot be read, whatever is wrong with its event or with the upcaster; others can.
                raise UpcastError(f"expected an event {step.source} that can be read, but {error!r}") from error
        return cast("Event", {"type": kind, **fields})


def types_of_today() -> Sequence[str]:
    """Return the types of events that this version writes, as `engine.core.events` has them."""
    return [get_args(event.__annotations__["type"])[0] for event in get_args(Event)]


def _mistakes(today: frozenset[str], upcasters: Sequence[Upcaster]) -> list[str]:
    targets: dict[str, str] = {}
    found: list[str] = []
    for source, target, _ in upcasters:
        if source in today:
            found.append(f"expected {source} to be read as it is, because it is written today, but it is upcast")
        if source in targets:
            found.append(f"expected one upcaster of {source}, but found two")
        targets[source] = target
    for source, target in targets.items():
        (name, version), (next_name, next_version) = _parts(source), _parts(target)
        if target not in today and target not in targets:
            found.append(f"expected {source} to lead to what is written today or upcast, but {target} is neither")
        if _subject(name) != _subject(next_name):
            found.append(f"expected {source} to stay an event of a {_subject(name)}, but it leads to {target}")
        if name == next_name and next_version != version + 1:
            found.append(f"expected {source} to lead to version {version + 1}, but it leads to {target}")
    for kind in sorted(today | targets.keys()):
        name, version = _parts(kind)
        if version > 1 and (before := _type(name, version - 1)) not in targets:
            found.append(f"expected an upcaster of {before}, which came before {kind}, but there is none")
    return found + _circles(targets)


def _circles(targets: Mapping[str, str]) -> list[str]:
    found: list[str] = []
    for source in targets:
        way, kind = [source], targets[source]
        while kind in targets and kind not in way:
            way.append(kind)
            kind = targets[kind]
        # Told once, by the first of its types.
        if kind == source and source == min(way):
            found.append(f"expected a way to an event of today, but found a circle: {' -> '.join([*way, source])}")
    return found


def _parts(kind: str) -> tuple[str, int]:
    """Return the name and the version in a type."""
    match = _VERSIONED.fullmatch(kind)
    return (kind, 1) if match is None else (match["name"], int(match["version"]))


def _subject(name: str) -> str:
    """Return what an event is about, which readers of headers go by: `run`, `trace` or `command`."""
    return name.partition(".")[0]


def _type(name: str, version: int) -> str:
    return name if version == 1 else f"{name}.v{version}"


UPCASTERS: Final = Upcasters(types_of_today(), ())
"""Those of the product: none yet, because every event is still in its first version."""
