"""Hosts in processes of their own, forked from one that has loaded everything: beginning one takes no time."""

import asyncio
import multiprocessing
import signal
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Self

from tests.consumers.group_worker import Task, begin

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["__main__", "tests.consumers.group_worker"])


class Host:
    """One process."""

    def __init__(self, task: Task) -> None:
        self._pipe, theirs = _CONTEXT.Pipe()
        self._process: BaseProcess = _CONTEXT.Process(target=begin, args=(task, theirs), daemon=True)
        self._process.start()
        theirs.close()

    async def follows(self, least: int = 1) -> None:
        """Wait until it has so many partitions."""
        while len(await asyncio.to_thread(self._pipe.recv)) < least:
            pass

    async def kill(self) -> None:
        """Kill it, wherever it is."""
        self._process.kill()
        assert await self._ended() == -signal.SIGKILL

    async def end(self) -> None:
        """Let it end in order."""
        self._pipe.send("end")
        assert await self._ended() == 0

    async def _ended(self) -> int | None:
        await asyncio.to_thread(self._process.join)
        self._pipe.close()
        return self._process.exitcode


class Hosts:
    """The hosts of one group; what is left of them ends with the test."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._alive: list[Host] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for host in list(self._alive):
            await self.kill(host)

    def begin(self) -> Host:
        """Begin one more."""
        self._alive.append(host := Host(self._task))
        return host

    async def kill(self, host: Host) -> None:
        """Kill one."""
        self._alive.remove(host)
        await host.kill()

    async def end(self, host: Host) -> None:
        """Let one end in order."""
        self._alive.remove(host)
        await host.end()
