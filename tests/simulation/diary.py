"""The diary of a world: what happened, when and to whom. Always counted, written down where it is to be read."""

import asyncio
import functools
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

import pytest

from engine.core.records import FENCE, PART
from engine.core.view import View
from engine.log.port import COMMANDS, EVENTS, REJECTIONS, LogRecord, Record
from tests.simulation.log import SimulatedLog
from tests.simulation.loop import SimulatedLoop, current_process
from tests.simulation.network import Network
from tests.simulation.program import Program
from tests.simulation.storm import Storm

_TEXT_MAX: Final = 150


class Entry(NamedTuple):
    """Something that happened.

    Attributes:
        time: Simulated seconds since the world began.
        process: Whose code ran.
        text: What happened.
    """

    time: float
    process: str
    text: str

    def __str__(self) -> str:
        """Return a line for people."""
        return f"{self.time:10.4f}  {self.process:<12} {self.text}"


class Diary:
    """What happened in a world.

    Args:
        written: Whether entries are kept; otherwise they are only counted.

    Attributes:
        entries: What happened, in order.
        figures: How often what happened.
    """

    def __init__(self, *, written: bool) -> None:
        self.written = written
        self.entries: list[Entry] = []
        self.figures: Counter[str] = Counter()
        self._views: dict[int, View] = {}

    def note(self, text: str) -> None:
        """Write down what the process whose code runs now does."""
        if self.written:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, SimulatedLoop)
            self.entries.append(Entry(loop.time(), current_process(loop.world).name, text))

    def count(self, what: str, text: str = "") -> None:
        """Count something, and write it down."""
        self.figures[what] += 1
        self.note(text or what)

    # What lands in the log.

    def landed(self, log: SimulatedLog, topic: str, partition: int, record: LogRecord) -> None:
        """Write down what has landed, and whether it counts."""
        place = f"{topic}/{partition}@{record.offset}"
        headers = record.headers
        if topic == EVENTS:
            self.note(f"{place} {self._event(log, partition, record)}")
        elif topic == COMMANDS:
            self.note(f"{place} command {record.value.decode(errors='replace')[:_TEXT_MAX]}")
        elif topic == REJECTIONS:
            self.note(f"{place} rejection of {headers.get('causationid')}: {headers.get('code')} {short(record.key)}")
        else:
            self.note(f"{place} {headers.get('ce_type')} {record.key}")

    def _event(self, log: SimulatedLog, partition: int, record: LogRecord) -> str:
        view = self._views.get(partition)
        if view is None or view.position != record.offset:
            # Records were lost in an election: what counts is another history.
            view = self._views[partition] = View()
            for before in log.partition(EVENTS, partition).history[: record.offset]:
                view.fold(before)
        expected = view.epoch
        accepted = view.fold(record)
        headers = record.headers
        kind = headers.get("ce_type")
        if kind == FENCE:
            return f"fence, nonce {headers.get('nonce')}: {record.value.decode(errors='replace')[:_TEXT_MAX]}"
        if kind == PART:
            told = {name: headers.get(name) for name in ("epoch", "start", "part", "parts", "commands")}
            return f"checkpoint part {told}, {'counts' if headers.get('epoch') == expected else 'of an older epoch'}"
        if accepted is not None:
            return f"commit {short(record.key)} accepted: {headers.get('types')} -> {accepted.after.status}"
        why = "of an older epoch" if headers.get("epoch") != expected else "no successor of the run's head"
        return f"{kind} {short(record.key)} skipped, {why}: {headers.get('types')}"


def short(run_id: str) -> str:
    """Return the end of a run's id, which tells runs of one world apart."""
    return f"run ..{run_id[-6:]}"


def keep(diary: Diary, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a diary be kept of everything that happens from now on."""
    land = SimulatedLog.land

    @functools.wraps(land)
    def landing(self: SimulatedLog, topic: str, partition: int, record: Record) -> int:
        offset = land(self, topic, partition, record)
        if diary.written:
            diary.landed(self, topic, partition, self.partition(topic, partition).records[-1])
        return offset

    monkeypatch.setattr(SimulatedLog, "land", landing)
    for name in ("begin", "close", "die", "pause", "wake", "cut_off"):
        _note_act(diary, monkeypatch, name)
    fate = Network.fate

    @functools.wraps(fate)
    def drawing(self: Network) -> object:
        drawn = fate(self)
        if drawn is not None:
            diary.count(f"fault: {drawn.value} write")
        return drawn

    monkeypatch.setattr(Network, "fate", drawing)


def _note_act(diary: Diary, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    act: Callable[[Program], object] = getattr(Program, name)

    @functools.wraps(act)
    def acting(self: Program) -> object:
        diary.note(f"{self.name}: {name.replace('_', ' ')}")
        return act(self)

    monkeypatch.setattr(Program, name, acting)


def keep_storm(diary: Diary, storm: Storm) -> None:
    """Count the faults of a storm by their class."""

    def counted(fault: Callable[[], object]) -> Callable[[], object]:
        name = fault.__name__.replace("_", " ")

        @functools.wraps(fault)
        def happen() -> object:
            diary.count(f"fault: {name}")
            return fault()

        return happen

    storm._faults = [counted(fault) for fault in storm._faults]  # type: ignore[misc]  # they return what they did
