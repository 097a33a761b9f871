"""Death at named places: a process is killed at a visit of a crash point that the seed draws."""

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Final

import pytest

from engine import crash_points
from engine.crash_points import CrashPoint
from tests.simulation.diary import Diary
from tests.simulation.loop import ProcessKilled, current_process
from tests.simulation.world import World

SIMULATED: Final = tuple(
    point
    for point in CrashPoint
    if not point.name.startswith(("OFFSETS", "EMBEDDED", "VIEWS", "PROJECTION", "SERVICE", "PROGRESS"))
)
"""The points that a world passes; the others stand in adapters that real processes use."""
_BESIDE: Final = tuple(point for point in CrashPoint if point.name.startswith(("PROJECTION", "SERVICE", "PROGRESS")))
"""Points that worlds pass in which views or progress services are."""
_VISITS: Final = (1, 1, 2, 3, 8, 30)


class Crashes:
    """Kills processes at crash points, one after the other, until it is told to stop.

    Args:
        world: Whose processes.
        diary: Where it is written down.
        points: The points at which processes die.

    Attributes:
        visits: How often each point was passed.
    """

    def __init__(self, world: World, diary: Diary, points: Sequence[CrashPoint]) -> None:
        self.visits: Counter[CrashPoint] = Counter()
        self._world = world
        self._diary = diary
        self._points = points
        # What is drawn here must not change what else the seed draws.
        self._random = Random(f"crashes {world.random.random()}")
        self._point: CrashPoint | None = None
        self._visits_left = 0
        self._arm()

    def reached(self, point: CrashPoint) -> None:
        """Pass a point, or die there."""
        self.visits[point] += 1
        if point is not self._point:
            return
        program = next((each for each in self._world.programs if each.process is current_process()), None)
        if program is None:
            return
        self._visits_left -= 1
        if self._visits_left > 0:
            return
        self._diary.count(f"killed at {point.name}")
        self._arm()
        program.die()
        raise ProcessKilled

    def stop(self) -> None:
        """Let nobody die any more."""
        self._points = ()
        self._point = None

    def _arm(self) -> None:
        self._point = self._random.choice(self._points) if self._points else None
        self._visits_left = self._random.choice(_VISITS)


def crash(world: World, diary: Diary, monkeypatch: pytest.MonkeyPatch, point: CrashPoint | None = None) -> Crashes:
    """Let processes of a world die at crash points: at one, or at those that the seed draws, perhaps at none.

    Args:
        world: The world.
        diary: Where it is written down.
        monkeypatch: Puts the points back.
        point: The point, or None for what the seed draws.
    """
    if point is not None:
        points: Sequence[CrashPoint] = (point,)
    else:
        points = world.random.sample(SIMULATED + _BESIDE, world.random.choice((0, 0, 1, 3, len(SIMULATED))))
    crashes = Crashes(world, diary, points)
    monkeypatch.setattr(crash_points, "reached", crashes.reached)
    return crashes
