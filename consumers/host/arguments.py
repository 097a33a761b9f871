"""Arguments of a host, checked before anything is done with them."""

from collections.abc import Mapping
from math import isfinite
from typing import TypeGuard

from consumers.host.start import Start
from consumers.host.wanted import Wanted
from engine.arguments import check_running_max
from engine.errors import ArgumentError


def check_mapping(services: object) -> None:
    """Refuse what gives no services by their names.

    Raises:
        ArgumentError: It is no mapping, or a name is no text.
    """
    if not isinstance(services, Mapping):
        raise _wrong("services by their names, such as {'mail': Mail()}", services)
    for name in services:
        if not isinstance(name, str):
            raise _wrong("a text as the name of a service", name)


def check_choices(start: object, wanted: object) -> None:
    """Refuse what says neither where services begin nor what they hear of.

    Raises:
        ArgumentError: It is no `Start`, or no `Wanted`.
    """
    if not isinstance(start, Start):
        raise _wrong("a Start, such as Start.beginning(), as start", start)
    if not isinstance(wanted, Wanted):
        raise _wrong("a Wanted as wanted", wanted)


def check_numbers(concurrent: object, attempts: object, deaths: object, timeout: object, retry_seconds: object) -> None:
    """Refuse numbers with which no call would be made, or none could succeed.

    Raises:
        ArgumentError: A number of calls is no integer from 1 on, or a time no number of seconds.
    """
    check_running_max("concurrent", concurrent)
    check_running_max("attempts", attempts)
    check_running_max("deaths", deaths)
    if timeout is not None and not (_is_number(timeout) and timeout > 0):
        raise _wrong("seconds above 0 as timeout, or None", timeout)
    if not (_is_number(retry_seconds) and retry_seconds >= 0):
        raise _wrong("seconds from 0 on as retry_seconds", retry_seconds)


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _wrong(expected: str, found: object) -> ArgumentError:
    return ArgumentError(f"expected {expected}, but found {found!r:.80} of type {type(found).__name__}.")
