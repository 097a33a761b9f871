"""The company: all workers of a round, each in its seat, with a path of its own to the brokers."""

import asyncio
from pathlib import Path

from tests.chaos.diary import Diary
from tests.chaos.keeping import Nursery, Seat
from tests.chaos.paths import Paths

SEATS = {"executor": 4, "client": 2, "follower": 2, "folder": 1}
"""How many of each role may be there at once."""
_EXECUTORS_AT_FIRST = 2
VIEWS = "views"
ASKED = "asked.jsonl"


def names() -> list[str]:
    """Return the names of all seats and paths."""
    return [name for role, count in SEATS.items() for name in names_of(role, count)]


def names_of(role: str, count: int) -> list[str]:
    """Return the names of the seats of a role."""
    return [f"{role.upper()}{number}" for number in range(count)]


class Company:
    """All seats of a round.

    Args:
        nursery: Makes workers.
        diary: Hears of them.
        paths: Their paths to the brokers.
        prefix: The log's topics begin with it.
        directory: Where artefacts go.
    """

    def __init__(self, nursery: Nursery, diary: Diary, paths: Paths, prefix: str, directory: Path) -> None:
        more = {
            "executor": [str(directory)],
            "client": [str(directory), str(directory / ASKED)],
            "follower": [str(directory)],
            "folder": [str(directory / VIEWS)],
        }
        self._seats = [
            Seat(
                nursery,
                diary,
                name,
                [str(paths.location(name, prefix)), *more[role]],
                directory / f"{name.lower()}.log",
            )
            for role, count in SEATS.items()
            for name in names_of(role, count)
        ]

    def of(self, role: str) -> list[Seat]:
        """Return the seats of a role."""
        return [seat for seat in self._seats if seat.role == role]

    def alive(self, role: str) -> list[Seat]:
        """Return the seats of a role in which somebody is to whom something may be done."""
        return [seat for seat in self.of(role) if seat.alive]

    def join(self, role: str, count: int | None = None) -> None:
        """Want so many of a role from now on, or as many as there can be."""
        for seat in self.of(role)[:count]:
            seat.join()

    def begin(self) -> None:
        """Want everybody who is there when nothing happens."""
        self.join("executor", _EXECUTORS_AT_FIRST)
        for role in ("client", "follower", "folder"):
            self.join(role)

    def ask(self) -> None:
        """Let everybody who is there write down what they do."""
        for seat in self._seats:
            if seat.wanted:
                seat.ask()

    async def leave(self, *roles: str) -> None:
        """Let all of these roles leave in order, at once."""
        await asyncio.gather(*(seat.leave() for role in roles for seat in self.of(role)))
