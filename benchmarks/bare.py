"""The bare baseline: the same records in the same kind of store, group commit, fsync, reading back; no engine."""

import asyncio
import queue
import threading
from collections.abc import Sequence
from pathlib import Path

from benchmarks.workload import INPUT, step
from engine.call import Call
from engine.context import ContextObject
from engine.registry import Registry
from engine.store.rocks import RocksStore

_Entry = tuple[bytes, bytes, "asyncio.Future[bytes]"]
FAMILY = "records"


class Bare:
    """Appends records and reads them back, all that wait at once in one group."""

    def __init__(self, directory: Path, loop: asyncio.AbstractEventLoop) -> None:
        self._store = RocksStore.open(directory, families=(FAMILY,))
        self._loop = loop
        self._queue: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._number = 0
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    async def append(self, value: bytes) -> bytes:
        """Append one record and return its bytes as the store gives them back once they are durable."""
        self._number += 1
        future: asyncio.Future[bytes] = self._loop.create_future()
        self._queue.put((self._number.to_bytes(8, "big"), value, future))
        return await future

    def close(self) -> None:
        """Stop the thread and close the store."""
        self._queue.put(None)
        self._thread.join()
        self._store.close()

    def _work(self) -> None:
        while (entry := self._queue.get()) is not None:
            group = [entry]
            while not self._queue.empty():
                following = self._queue.get()
                if following is None:
                    return
                group.append(following)
            batch = self._store.batch()
            for key, value, _ in group:
                batch.put(FAMILY, key, value)
            self._store.write(batch)
            self._store.flush()
            back = [(future, self._store.get(FAMILY, key)) for key, _, future in group]
            self._loop.call_soon_threadsafe(self._settle, back)

    @staticmethod
    def _settle(back: Sequence[tuple["asyncio.Future[bytes]", bytes | None]]) -> None:
        for future, value in back:
            assert value is not None
            future.set_result(value)


class BareRuns:
    """Runs of three steps on the bare store: a command, then four records with the functions called between them."""

    def __init__(self, bare: Bare, sizes: Sequence[int], registry: Registry) -> None:
        self._bare = bare
        self._records = [bytes(size) for size in sizes]
        self._registry = registry

    async def run(self) -> None:
        """Do what one run does, without an engine."""
        command, first, *rest = self._records
        context = ContextObject(INPUT)
        await self._bare.append(command)
        await self._bare.append(first)
        for name, record in zip(("first", "second", "third"), rest, strict=True):
            call = Call(
                run_id="r",
                workflow_id="w",
                node_id=name,
                trace_id="t",
                attempt=1,
                idempotency_key="t",
                registry=self._registry,
            )
            await step(context, call)
            await self._bare.append(record)
