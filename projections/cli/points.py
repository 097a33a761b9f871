"""Points in a run's history: a commit, an event of one, a moment, its start or its end."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from engine.cli.failures import ArgumentsError
from engine.cli.moments import EXPECTED, parse_moment
from engine.core.evolve import evolve
from engine.core.state import RunState
from engine.core.view import Accepted
from engine.errors import RunlineError

START: Final = "start"
END: Final = "end"
PREFIX_CHARACTERS_MIN: Final = 8
"""Characters of a commit's id that are enough, when no other commit of the run begins like it."""
_DATE_DIGITS: Final = 8
"""Digits of a date without hyphens, such as 20261124."""
_COMMIT: Final = re.compile(r"([0-9a-f]{8,64})(?:\.([0-9]{1,9}))?")
_HINT: Final = "'runline show RUN --events' lists the events of a run with their ids."


class PointError(RunlineError):
    """The run's history has no such point."""

    code = "point"


class Point(NamedTuple):
    """A run as it stood once.

    Attributes:
        history: The accepted commits until then, at least one; the last of them may lack its later events.
        event: The index of the last event in the last commit.
    """

    history: Sequence[Accepted]
    event: int

    @property
    def state(self) -> RunState:
        """The run's state."""
        return self.history[-1].after

    @property
    def when(self) -> str:
        """When it came about, as the log has it: RFC 3339."""
        return self.history[-1].value["time"]

    @property
    def event_id(self) -> str:
        """The last event, as `COMMIT.INDEX`."""
        return f"{self.history[-1].id}.{self.event}"

    @property
    def data(self) -> dict[str, object]:
        """The same as JSON data."""
        return {"event_id": self.event_id, "time": self.when}


def find_point(history: Sequence[Accepted], option: str, text: str, now: datetime) -> Point:
    """Return the point in a history that a text names.

    Args:
        history: All of it, at least one commit.
        option: What the text was given as, such as `--at`.
        text: A commit's id or the beginning of one, `COMMIT.INDEX`, a time, or `start` or `end`.
        now: With a time zone.

    Raises:
        ArgumentsError: The text names no point of any history.
        PointError: This history has no such point.
    """
    if text == END:
        return _behind(history, len(history) - 1)
    if text == START:
        return _start(history)
    if (found := _COMMIT.fullmatch(text)) is not None:
        return _commit(history, found[1], found[2])
    try:
        time = parse_moment(option, text, now)
    except ArgumentsError as error:
        if error.hint:
            # A time was meant, and what is wrong with it is known.
            raise
        raise ArgumentsError(
            f"Expected {START}, {END}, the id of a commit or at least {PREFIX_CHARACTERS_MIN} characters of it, "
            f"COMMIT.INDEX, {EXPECTED}, as {option}, but found {text[:80]!r}.",
            hint=_HINT,
        ) from error
    return _moment(history, time)


def _behind(history: Sequence[Accepted], number: int) -> Point:
    return Point(history[: number + 1], len(history[number].value["events"]) - 1)


def _within(history: Sequence[Accepted], number: int, event: int) -> Point:
    """Return the point behind one event of one commit."""
    whole = history[number]
    value = whole.value.copy()
    value["events"] = value["events"][: event + 1]
    after = evolve(whole.before, value["events"], value["run"], value["time"])
    after.head = whole.id
    return Point([*history[:number], whole._replace(value=value, after=after)], event)


def _start(history: Sequence[Accepted]) -> Point:
    for number, accepted in enumerate(history):
        for index, event in enumerate(accepted.value["events"]):
            if event["type"] == "run.started":
                return _within(history, number, index)
    raise PointError(f"Expected a run that was started, but {history[0].value['run']} was only created.")


def _commit(history: Sequence[Accepted], prefix: str, index: str | None) -> Point:
    found = [number for number, accepted in enumerate(history) if accepted.id.startswith(prefix)]
    if len(found) != 1:
        what = "none does" if not found else f"{len(found)} do"
        raise PointError(
            f"Expected one commit of run {history[0].value['run']} whose id begins with {prefix}, but {what}.",
            hint=_HINT if found else f"{_date_hint(prefix)}{_HINT}",
        )
    if index is None:
        return _behind(history, found[0])
    count = len(history[found[0]].value["events"])
    if int(index) >= count:
        raise PointError(f"Expected an event from 0 to {count - 1} of commit {prefix}, but found {index}.")
    return _within(history, found[0], int(index))


def _date_hint(prefix: str) -> str:
    """Return how to name the date that the beginning of a commit's id looks like, or an empty text."""
    try:
        day = datetime.strptime(prefix[:_DATE_DIGITS], "%Y%m%d").date()  # noqa: DTZ007 - a day, in no zone
    except ValueError:
        return ""
    return f"Digits alone are taken for a commit's id; a date has hyphens: {day.isoformat()}. "


def _moment(history: Sequence[Accepted], time: datetime) -> Point:
    times = [datetime.fromisoformat(accepted.value["time"]) for accepted in history]
    until = [number for number, each in enumerate(times) if each <= time]
    if not until:
        raise PointError(
            f"Expected a time at which run {history[0].value['run']} was there, but found {time.isoformat()}: "
            f"it was created at {times[0].isoformat()}."
        )
    return _behind(history, until[-1])
