"""Worker processes: made by the nursery, which buries them, and kept alive by the conductor as a supervisor would."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.chaos.diary import Diary
from tests.chaos.roles import CANNOT_BEGIN

ROOT = Path(__file__).parents[2]
_AGAIN_SECONDS = 0.3
"""Between two tries of a worker that found no brokers."""
LEAVE_SECONDS = 90.0
"""How long a worker may take to leave in order, on a busy machine."""


class Nursery:
    """The nursery's process, and what it says. Use it with `async with`."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._begun: deque[asyncio.Future[int]] = deque()
        self._ended: dict[int, asyncio.Future[int]] = {}
        self._hearing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        # A session of its own: Ctrl-C is for the conductor, which lets the workers leave.
        command = (sys.executable, "-m", "tests.chaos.nursery")
        self._process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, stdin=PIPE, stdout=PIPE, start_new_session=True
        )
        self._hearing = asyncio.create_task(self._hear())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
        if self._hearing is not None:
            self._hearing.cancel()
            await asyncio.gather(self._hearing, return_exceptions=True)

    async def begin(self, role: str, words: Sequence[str], said: Path) -> "Worker":
        """Make a worker."""
        begun: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._begun.append(begun)
        self._order(role=role, words=list(words), said=str(said))
        pid = await asyncio.shield(begun)
        return Worker(self, pid, self._ended[pid])

    def send(self, worker: int, number: signal.Signals) -> None:
        """Send a signal to a worker; nobody gets it when that has ended."""
        self._order(worker=worker, signal=number)

    def _order(self, **order: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")

    async def _hear(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            said = json.loads(line)
            if "begun" in said:
                self._ended[said["begun"]] = asyncio.get_running_loop().create_future()
                self._begun.popleft().set_result(said["begun"])
            else:
                self._ended.pop(said["ended"]).set_result(said["code"])
        raise AssertionError("the nursery has ended")


class Worker:
    """A worker process.

    Attributes:
        pid: Its number.
        ended: Its exit code, once it has ended; negative for a signal.
    """

    def __init__(self, nursery: Nursery, pid: int, ended: asyncio.Future[int]) -> None:
        self._nursery = nursery
        self.pid = pid
        self.ended = ended

    def send(self, number: signal.Signals) -> None:
        self._nursery.send(self.pid, number)


class Seat:
    """A place for a worker, kept occupied while somebody is wanted there.

    Args:
        nursery: Makes workers.
        diary: Hears of their ends.
        name: The seat's name, which is that of its path as well: the workers' role in capital letters, and a number.
        words: What they are told at the start.
        said: The file for what they say.
    """

    def __init__(self, nursery: Nursery, diary: Diary, name: str, words: Sequence[str], said: Path) -> None:
        self.role = name.rstrip("0123456789").lower()
        self.name = name
        self._nursery = nursery
        self._diary = diary
        self._words = words
        self._said = said
        self._wanted = False
        self._worker: Worker | None = None
        self._expected: set[int] = set()
        self._away = 0.0
        self._keeping: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        """Whether a worker is there that nothing was done to yet; one that stands still counts, too."""
        return self._worker is not None and not self._worker.ended.done() and not self._expected

    @property
    def vacant(self) -> bool:
        """Whether the last worker has left."""
        return not self._wanted and (self._keeping is None or self._keeping.done())

    @property
    def pid(self) -> int:
        """The number of the worker that is here, or was last."""
        return 0 if self._worker is None else self._worker.pid

    @property
    def wanted(self) -> bool:
        """Whether somebody is kept here."""
        return self._wanted

    def join(self) -> None:
        """Want somebody here from now on."""
        self._wanted = True
        if self._keeping is None or self._keeping.done():
            self._keeping = asyncio.create_task(self._keep())

    async def leave(self) -> None:
        """Want nobody here any more, and wait until the worker has left in order."""
        self._wanted = False
        if self._worker is not None and not self._worker.ended.done():
            self._let_leave(self._worker)
        if self._keeping is not None:
            try:
                async with asyncio.timeout(LEAVE_SECONDS):
                    await asyncio.shield(self._keeping)
            except TimeoutError:
                self._diary.violation(f"{self.name} did not leave within {LEAVE_SECONDS} s of SIGTERM")
                self.kill(0.0)
                await self._keeping

    def kill(self, away: float) -> None:
        """Kill the worker; the next one begins so many seconds later."""
        if self._worker is not None:
            self._expected.add(-signal.SIGKILL)
            self._away = away
            self._worker.send(signal.SIGKILL)

    def ask(self) -> None:
        """Let the worker write down what it does just now."""
        if self._worker is not None:
            self._worker.send(signal.SIGUSR1)

    async def stop(self, seconds: float) -> None:
        """Let the worker stand still for a while."""
        worker = self._worker
        if worker is not None:
            worker.send(signal.SIGSTOP)
            try:
                await asyncio.wait([worker.ended], timeout=seconds)
            finally:
                worker.send(signal.SIGCONT)

    def _let_leave(self, worker: Worker) -> None:
        # Before it has its handler, the signal ends it, which is as good.
        self._expected |= {0, -signal.SIGTERM}
        worker.send(signal.SIGTERM)
        worker.send(signal.SIGCONT)

    async def _keep(self) -> None:
        while self._wanted:
            pause = await self._occupied()
            await asyncio.sleep(pause)

    async def _occupied(self) -> float:
        """Let one worker live its life, and return how many seconds later the next one begins."""
        self._expected.clear()
        self._away = 0.0
        worker = self._worker = await self._nursery.begin(self.role, self._words, self._said)
        self._diary.note("begun", seat=self.name, pid=worker.pid)
        if not self._wanted:  # meanwhile
            self._let_leave(worker)
        code = await worker.ended
        self._diary.note("ended", seat=self.name, pid=worker.pid, code=code)
        if code in self._expected:
            return self._away if self._wanted else 0.0
        if code != CANNOT_BEGIN:
            self._diary.violation(f"{self.name} (process {worker.pid}) ended by itself with {code}: see {self._said}")
        return _AGAIN_SECONDS
