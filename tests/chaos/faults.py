"""The faults, and the plan of them that a seed draws."""

import random
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

QUIET_SHARE = 0.25
"""Of the spans into which the time is divided: faults that never rest hide what does not go on by itself."""
_SPAN_SECONDS = (2.0, 5.0)
_AT_ONCE_MAX = 4
_KIND_SHARE = 0.7
"""Of the kinds of faults, of which a plan has a random part: some mistakes show only in the absence of others."""
_KINDS_MIN = 4


class Fault(StrEnum):
    """Everything that is done to processes, brokers and paths."""

    KILL_EXECUTOR = "kill -9 an executor"
    STOP_EXECUTOR = "stop an executor, and wake it"
    STORM = "executors join and leave quickly"
    KILL_FOLLOWER = "kill -9 a follower"
    STOP_FOLLOWER = "stop a follower, and wake it"
    KILL_FOLDER = "kill -9 a projection"
    STOP_FOLDER = "stop a projection, and wake it"
    KILL_CLIENT = "kill -9 a client"
    KILL_BROKER = "kill -9 a broker"
    STOP_BROKER = "stop a broker, and wake it"
    DELAY_PATH = "delay a path"
    CUT_PATH = "cut a path"
    HOLE_PATH = "let a path be a black hole"


_SECONDS: dict[Fault, tuple[float, float]] = {
    Fault.KILL_EXECUTOR: (0.0, 2.0),
    # Sessions last 2 s: about half of those who stand still wake as zombies.
    Fault.STOP_EXECUTOR: (0.5, 5.0),
    Fault.STORM: (3.0, 6.0),
    Fault.KILL_FOLLOWER: (0.0, 2.0),
    Fault.STOP_FOLLOWER: (0.5, 5.0),
    Fault.KILL_FOLDER: (0.0, 1.0),
    Fault.STOP_FOLDER: (0.5, 3.0),
    Fault.KILL_CLIENT: (0.0, 1.0),
    Fault.KILL_BROKER: (0.5, 4.0),
    # The session of a broker lasts 3 s.
    Fault.STOP_BROKER: (1.0, 7.0),
    Fault.DELAY_PATH: (2.0, 5.0),
    Fault.CUT_PATH: (0.0, 4.0),
    Fault.HOLE_PATH: (0.5, 6.0),
}
"""How long each lasts."""
FOR_EXECUTORS = (Fault.KILL_EXECUTOR, Fault.STOP_EXECUTOR, Fault.STORM)
FOR_BROKERS = (Fault.KILL_BROKER, Fault.STOP_BROKER)


class Act(NamedTuple):
    """One fault of a plan.

    Attributes:
        at: Seconds from the beginning.
        fault: What is done.
        seconds: How long.
        target: To whom of those who are there then: a number below 1.
        detail: More that is drawn: a number below 1.
    """

    at: float
    fault: Fault
    seconds: float
    target: float
    detail: float


def draw(seed: int, seconds: float, only: Sequence[Fault] = ()) -> list[Act]:
    """Return the plan of a seed: what is to be done, in the order of time.

    Args:
        seed: Draws it.
        seconds: How long it is.
        only: The kinds of faults; the seed draws them, too, unless they are given.
    """
    chance = random.Random(seed)
    kinds = list(only) or _kinds(chance)
    acts: list[Act] = []
    begin = 0.0
    while begin < seconds:
        end = begin + chance.uniform(*_SPAN_SECONDS)
        if chance.random() >= QUIET_SHARE:
            for fault in chance.sample(kinds, chance.randint(1, min(_AT_ONCE_MAX, len(kinds)))):
                at = chance.uniform(begin, (begin + end) / 2)
                acts.append(Act(at, fault, chance.uniform(*_SECONDS[fault]), chance.random(), chance.random()))
        begin = end
    return sorted(act for act in acts if act.at < seconds)


def _kinds(chance: random.Random) -> list[Fault]:
    kinds = [fault for fault in Fault if chance.random() < _KIND_SHARE]
    kinds += [chance.choice(family) for family in (FOR_EXECUTORS, FOR_BROKERS) if not set(family) & set(kinds)]
    others = [fault for fault in Fault if fault not in kinds]
    return kinds + chance.sample(others, max(0, _KINDS_MIN - len(kinds)))
