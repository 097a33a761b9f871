"""The diary of a world: what happened, when and to whom. Always counted, written down where it is to be read."""

import asyncio
import functools
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, TypeVar

import pytest

from engine import Call
from engine.core.records import FENCE, PART
from engine.core.view import View
from engine.executor.executor import Executor
from engine.log.port import COMMANDS, EVENTS, REJECTIONS, LogRecord, Record
from tests.simulation.history import History
from tests.simulation.ledger import Desk
from tests.simulation.log import SimulatedLog
from tests.simulation.loop import SimulatedLoop, current_process
from tests.simulation.network import Network
from tests.simulation.program import Program
from tests.simulation.storm import Storm

T = TypeVar("T")

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
        self._owners: dict[str, str] = {}
        self._processes: dict[str, str] = {}

    def note(self, text: str) -> None:
        """Write down what the process whose code runs now does."""
        if self.written:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, SimulatedLoop)
            self.entries.append(Entry(loop.time(), current_process(loop.world).name, text))

    def knows(self, executor: str, process: str) -> None:
        """Hear in which process an executor is."""
        self._processes[executor] = process

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
            executor = str(field_of(record.value, "executor"))
            owner = self._owners[str(view.epoch)] = self._processes.get(executor, "nobody")
            return f"fence of {owner}, epoch {view.epoch}"
        by = self._owners.get(str(headers.get("epoch")), "nobody")
        if kind == PART:
            told = {name: headers.get(name) for name in ("epoch", "start", "part", "parts", "commands")}
            counts = "counts" if headers.get("epoch") == expected else "of an older epoch"
            return f"checkpoint part of {by} {told}, {counts}"
        if accepted is not None:
            return f"commit {short(record.key)} of {by} accepted: {headers.get('types')} -> {accepted.after.status}"
        why = "of an older epoch" if headers.get("epoch") != expected else "no successor of the run's head"
        return f"{kind} {short(record.key)} of {by} skipped, {why}: {headers.get('types')}"


def field_of(value: bytes, name: str) -> object:
    """Return a field of a JSON object, or None when it is no such thing."""
    try:
        found = json.loads(value)
    except ValueError:
        return None
    return found.get(name) if isinstance(found, dict) else None


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
    begin = Executor.start

    @functools.wraps(begin)
    async def beginning(self: Executor, *, owned: Callable[[], None]) -> None:
        diary.knows(self._settings.executor, current_process().name)
        await begin(self, owned=owned)

    monkeypatch.setattr(Executor, "start", beginning)
    for name in ("begin", "close", "die", "pause", "wake", "cut_off"):
        _note_act(diary, monkeypatch, name)
    if diary.written:
        _note_users(diary, monkeypatch)
    fate = Network.fate

    @functools.wraps(fate)
    def drawing(self: Network) -> object:
        drawn = fate(self)
        if drawn is not None:
            diary.count(f"fault: {drawn.value} write")
        return drawn

    monkeypatch.setattr(Network, "fate", drawing)


def _note_users(diary: Diary, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write down what callers ask and are told, and what functions do outside."""
    write, ask = Desk.write, History.ask

    def writing(self: Desk, call: Call) -> None:
        diary.note(f"effect of trace {call.trace_id.rsplit('.', 1)[1]}, attempt {call.attempt} of {short(call.run_id)}")
        write(self, call)

    async def asking(self: History, kind: str, run: str, work: Awaitable[T], *, timeout: float | None = None) -> T:
        name = f"caller: {kind} {short(run) if run else 'a new run'}"
        diary.note(f"{name}?")
        try:
            answer = await ask(self, kind, run, work, timeout=timeout)
        except BaseException as error:
            diary.note(f"{name}: {error!r:.{_TEXT_MAX}}")
            raise
        diary.note(f"{name}: {answer!r:.{_TEXT_MAX}}")
        return answer

    monkeypatch.setattr(Desk, "write", writing)
    monkeypatch.setattr(History, "ask", asking)


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
