"""Doing harm: each act of a plan, done to whoever is there."""

import asyncio
import random
import time
from collections.abc import Sequence
from typing import TypeVar

from tests.chaos.brokers import Brokers, Proxy
from tests.chaos.company import Company, names
from tests.chaos.diary import Diary
from tests.chaos.faults import Act, Fault
from tests.chaos.proxy import State, Way

_STORM_STEP_SECONDS = 0.7
_DELAY_SECONDS = 0.4
"""The longest delay of everything that passes."""
_LEADER_SHARE = 0.7
"""Of brokers that are harmed: they lead a certain partition, as far as anybody can say."""
_TWO_AWAY_SHARE = 0.2
"""Of harmed brokers of three: they go even while another one is away, when nothing can be written."""
_EVERYWHERE_SHARE = 0.6
"""Of harmed paths: all of the process's paths, to all brokers."""
_KILLS = {
    Fault.KILL_EXECUTOR: "executor",
    Fault.KILL_FOLLOWER: "follower",
    Fault.KILL_FOLDER: "folder",
    Fault.KILL_CLIENT: "client",
}
_STOPS = {Fault.STOP_EXECUTOR: "executor", Fault.STOP_FOLLOWER: "follower", Fault.STOP_FOLDER: "folder"}
_STATES = {Fault.DELAY_PATH: State.DELAY, Fault.CUT_PATH: State.CUT, Fault.HOLE_PATH: State.HOLE}

T = TypeVar("T")


class Harm:
    """Does what a plan says.

    Args:
        company: The workers.
        brokers: The brokers.
        proxy: Stands in between.
        places: The topics and partitions on Kafka whose leaders are brokers worth harming.
        diary: Gets everything.
    """

    def __init__(
        self, company: Company, brokers: Brokers, proxy: Proxy, places: Sequence[tuple[str, int]], diary: Diary
    ) -> None:
        self._company = company
        self._brokers = brokers
        self._proxy = proxy
        self._places = places
        self._diary = diary
        self._doing: list[asyncio.Task[None]] = []

    async def carry_out(self, plan: Sequence[Act], seconds: float) -> None:
        """Begin everything at its time, and return after so many seconds."""
        begun = time.monotonic()
        for act in plan:
            await asyncio.sleep(begun + act.at - time.monotonic())
            self._doing.append(asyncio.create_task(self._do(act)))
        await asyncio.sleep(begun + seconds - time.monotonic())

    async def heal(self) -> None:
        """Wait until every fault has ended by itself, and open all paths."""
        await asyncio.gather(*self._doing)
        for path in names():
            self._proxy.order(path, 0, State.OPEN)
        self._diary.note("healed")

    def give_up(self) -> None:
        """Do no more, however things stand."""
        for task in self._doing:
            task.cancel()

    async def _do(self, act: Act) -> None:
        if act.fault in _KILLS or act.fault in _STOPS:
            await self._harm_worker(act)
        elif act.fault is Fault.STORM:
            await self._storm(act)
        elif act.fault in _STATES:
            await self._harm_path(act, _STATES[act.fault])
        else:
            await self._harm_broker(act)

    async def _harm_worker(self, act: Act) -> None:
        role = _KILLS.get(act.fault) or _STOPS[act.fault]
        seats = self._company.alive(role)
        if not seats:
            self._diary.note("nobody there", fault=act.fault)
            return
        seat = _one_of(seats, act.target)
        self._did(act, seat=seat.name, pid=seat.pid)
        if act.fault in _KILLS:
            seat.kill(act.seconds)
        else:
            await seat.stop(act.seconds)

    async def _storm(self, act: Act) -> None:
        """Let executors join and leave one after the other, without waiting for any of them."""
        chance = random.Random(act.detail)
        until = time.monotonic() + act.seconds
        leaving: list[asyncio.Task[None]] = []
        self._did(act)
        while time.monotonic() < until:
            there = [seat for seat in self._company.of("executor") if seat.wanted]
            gone = [seat for seat in self._company.of("executor") if seat.vacant]
            if gone and (len(there) == 1 or chance.random() < 0.5):
                seat = chance.choice(gone)
                self._diary.did("join", seat=seat.name)
                seat.join()
            elif len(there) > 1:
                seat = chance.choice(there)
                self._diary.did("leave", seat=seat.name)
                leaving.append(asyncio.create_task(seat.leave()))
            await asyncio.sleep(_STORM_STEP_SECONDS * chance.random())
        await asyncio.gather(*leaving)

    async def _harm_broker(self, act: Act) -> None:
        most = 2 if act.detail < _TWO_AWAY_SHARE else 1
        if not self._brokers.may_go(most):
            self._diary.note("too many brokers are away", fault=act.fault)
            return
        led = _one_of(self._places, act.target)
        node = await self._brokers.leader(*led) if act.detail < _LEADER_SHARE else 0
        leads = node in self._brokers.present
        if not self._brokers.may_go(most):
            return  # meanwhile, others have gone
        if not leads:
            node = _one_of(self._brokers.present, act.target)
        self._did(act, broker=node, leads=f"{led[0]}/{led[1]}" if leads else None)
        if act.fault is Fault.KILL_BROKER:
            await self._brokers.kill(node, act.seconds)
        else:
            await self._brokers.stop(node, act.seconds)
        self._diary.note("a broker is back", broker=node)

    async def _harm_path(self, act: Act, state: State) -> None:
        path = _one_of(names(), act.target)
        chance = random.Random(act.detail)
        broker = 0 if chance.random() < _EVERYWHERE_SHARE else chance.choice(self._brokers.all)
        way = chance.choice(list(Way))
        self._did(act, path=path, broker=broker, way=way)
        self._proxy.order(path, broker, state, way, chance.random() * _DELAY_SECONDS)
        await asyncio.sleep(act.seconds)
        self._proxy.order(path, broker, State.OPEN)
        self._diary.note("a path is open again", path=path, broker=broker)

    def _did(self, act: Act, **more: object) -> None:
        self._diary.did(act.fault, seconds=round(act.seconds, 2), **more)


def _one_of(candidates: Sequence[T], target: float) -> T:
    return candidates[int(target * len(candidates))]
