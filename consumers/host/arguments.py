"""Arguments of a host and of what is recorded for it, checked before anything is done with them."""

import re
from collections.abc import Iterable, Mapping
from math import isfinite
from pathlib import Path
from typing import Final, TypeGuard

from consumers.host.delivery import check_service
from consumers.host.start import Start
from consumers.host.wanted import Wanted
from engine.arguments import check_running_max
from engine.errors import ArgumentError
from engine.limits import FOLLOW_SERVICES_MAX
from engine.log.opening import location_problem

_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
_OF_LOGS: Final = ("ends", "reader", "topic_id")
_OF_STORES: Final = ("join", "load", "save")


def check_services(services: object) -> None:
    """Refuse what no host can call.

    Raises:
        ServiceInvalidError: A service is none.
        ArgumentError: They are no mapping, there is none, there are too many, or a name is not what a name must be.
    """
    if not isinstance(services, Mapping):
        raise wrong("services by their names, such as {'mail': Mail()}", services)
    if not 1 <= len(services) <= FOLLOW_SERVICES_MAX:
        raise ArgumentError(
            f"expected between 1 and {FOLLOW_SERVICES_MAX} services of one group, but found {len(services)}.",
            hint="Follow with more groups.",
        )
    for name, service in services.items():
        check_name("service", name)
        check_service(name, service)


def check_name(what: str, name: object) -> None:
    """Refuse a name that cannot stand in a path, a key and a topic.

    Raises:
        ArgumentError: It is not a text of 1 to 100 letters, digits, '.', '_' or '-', not beginning with '.'.
    """
    if not isinstance(name, str):
        raise wrong(f"a text as the name of a {what}", name)
    if _NAME.fullmatch(name) is None:
        raise ArgumentError(
            f"expected the name of a {what} of 1 to 100 letters, digits, '.', '_' or '-', not beginning with '.', but "
            f"found {name[:120]!r}."
        )


def check_log(log: object) -> None:
    """Refuse what is no log.

    Raises:
        ArgumentError: It is something else.
    """
    if not _has(log, _OF_LOGS):
        raise wrong("a log, such as await EmbeddedLog.open_reading('data')", log)


def check_ports(log: object, store: object) -> None:
    """Refuse what is no log, or keeps no progress.

    Raises:
        ArgumentError: One of them is something else.
    """
    check_log(log)
    if not _has(store, _OF_STORES):
        raise wrong("a store of progress, such as open_progress(log, 'mail', Path('data/followers/mail'))", store)


def check_directory(directory: object) -> Path:
    """Return the directory of a group's progress.

    Raises:
        ArgumentError: It is no Path, or no directory can have this name.
    """
    if directory is None:
        raise ArgumentError(
            "expected a directory for the progress of a group of a log of this machine, but found none."
        )
    if not isinstance(directory, Path):
        raise wrong("a Path, such as Path('data/followers/mail'), as the directory of a group's progress", directory)
    if problem := location_problem(directory):
        raise ArgumentError(f"{problem}.")
    return directory


def check_choices(start: object, wanted: object, **flags: object) -> None:
    """Refuse what says neither where services begin nor what they hear of, nor yes or no.

    Raises:
        ArgumentError: It is no `Start`, or no `Wanted`, or a flag is neither True nor False.
    """
    if not isinstance(start, Start):
        raise wrong("a Start, such as Start.beginning(), as start", start)
    if not isinstance(wanted, Wanted):
        raise wrong("a Wanted as wanted", wanted)
    for name, flag in flags.items():
        check_flag(name, flag)


def check_numbers(concurrent: object, attempts: object, deaths: object, timeout: object, retry_seconds: object) -> None:
    """Refuse numbers with which no call would be made, or none could succeed.

    Raises:
        ArgumentError: A number of calls is no integer from 1 on, or a time no number of seconds.
    """
    check_running_max("concurrent", concurrent)
    check_running_max("attempts", attempts)
    check_running_max("deaths", deaths)
    if timeout is not None:
        check_seconds("timeout, or None", timeout, zero=False)
    check_seconds("retry_seconds", retry_seconds)


def check_seconds(name: str, value: object, *, zero: bool = True) -> None:
    """Refuse what is no number of seconds that one could wait.

    Args:
        name: The argument's.
        value: What was given.
        zero: Whether it may be 0.

    Raises:
        ArgumentError: It is no number, or a negative, infinite or immeasurable one.
    """
    if not (_is_number(value) and (value > 0 or (zero and value == 0))):
        raise wrong(f"seconds {'from 0 on' if zero else 'above 0'} as {name}", value)


def check_flag(name: str, value: object) -> None:
    """Refuse what is neither True nor False: a text such as 'no' would count as True.

    Raises:
        ArgumentError: It is something else.
    """
    if not isinstance(value, bool):
        raise wrong(f"True or False as {name}", value)


def wrong(expected: str, found: object) -> ArgumentError:
    """Return the error about an argument."""
    try:
        shown = f"{found!r:.80}"
    except ValueError:
        # Python does not print integers of thousands of digits.
        shown = "one"
    return ArgumentError(f"expected {expected}, but found {shown} of type {type(found).__name__}.")


def _is_number(value: object) -> TypeGuard[int | float]:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    except OverflowError:
        # An integer that is larger than any float.
        return False


def _has(value: object, names: Iterable[str]) -> bool:
    return not isinstance(value, type) and all(hasattr(value, name) for name in names)
