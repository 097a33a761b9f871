"""Calls that were written down before they were made: what is known of them when the process has ended."""

from collections.abc import Sequence
from typing import NamedTuple

import orjson

from consumers.host.progress import Place
from engine.store.errors import StoreDamagedError


class Call(NamedTuple):
    """A call of a service in a partition.

    Attributes:
        service: The service's name.
        place: Where the change stands that it is about.
    """

    service: str
    place: Place


class NotedCall(NamedTuple):
    """A call as it is written down.

    Attributes:
        call: The call.
        deaths: How often a process ended in it.
        under_way: Whether it is under way, or about to be.
    """

    call: Call
    deaths: int
    under_way: bool


def encode_calls(calls: Sequence[NotedCall]) -> bytes:
    """Return calls as JSON."""
    return orjson.dumps([(call.service, *call.place, deaths, under_way) for call, deaths, under_way in calls])


def read_calls(text: bytes, where: str) -> list[NotedCall]:
    """Return calls from JSON.

    Args:
        text: As `encode_calls` gave it.
        where: For the error.

    Raises:
        StoreDamagedError: It is no calls.
    """
    try:
        rows = orjson.loads(text)
        if isinstance(rows, list):
            return [_call(*row) for row in rows]
    except (TypeError, ValueError):
        pass
    raise StoreDamagedError(f"expected calls of services in {where}, but found {text[:80]!r}.")


def _call(service: object, offset: object, index: object, deaths: object, under_way: object) -> NotedCall:
    if isinstance(service, str) and type(offset) is type(index) is type(deaths) is int and isinstance(under_way, bool):
        return NotedCall(Call(service, (offset, index)), deaths, under_way)
    raise ValueError("no call")
