"""All checkers, each with the number of the promise that it checks."""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from tests.checkers import chain, commands, deliveries, effects, ends, poison, refusals, views, waits
from tests.checkers.artefacts import Artefacts
from tests.checkers.rule import Chains

Checker = Callable[[Artefacts, Chains], Iterator[str]]

CHECKERS: Final[tuple[tuple[int, Checker], ...]] = (
    (1, commands.lost),
    (1, commands.twice),
    (1, commands.unanswered),
    (2, ends.ends),
    (3, chain.readers_agree),
    (3, chain.fenced),
    (4, views.equal),
    (4, views.truthful),
    (5, effects.attempts),
    (5, effects.completions),
    (5, effects.keys),
    (6, deliveries.in_order),
    (6, deliveries.going_on),
    (7, waits.truthful),
    (7, waits.in_time),
    (8, poison.kept),
    (9, refusals.nothing_written),
    (9, refusals.reasons),
)


class Violation(NamedTuple):
    """What breaks a promise."""

    promise: int
    checker: str
    text: str

    def __str__(self) -> str:
        return f"promise {self.promise}, {self.checker}: {self.text}"


def check_all(artefacts: Artefacts) -> list[Violation]:
    """Return what breaks the promises; nothing when they hold."""
    chains = artefacts.chains()
    return [
        Violation(promise, name_of(checker), text)
        for promise, checker in CHECKERS
        for text in checker(artefacts, chains)
    ]


def name_of(checker: Checker) -> str:
    """Return the name under which a checker is listed, such as `chain.fenced`."""
    return f"{checker.__module__.rpartition('.')[2]}.{checker.__name__}"
