"""The proxy between processes and brokers, which delays, cuts and black-holes single paths.

Usage: proxy.py LINKS, as a JSON list of [path, broker, listen, to]. It prints "ready" when all ports listen, and
"obeyed" for each line of JSON on its input: {"path", "broker" (0: all), "state", "way", "seconds" (of a delay)}. It
ends with its input.
"""

import asyncio
import contextlib
import json
import sys
from enum import StrEnum

from engine.broker.ports import HOST
from tests.chaos.paths import Link

_CHUNK_BYTES = 65_536


class State(StrEnum):
    """What a link does to what passes."""

    OPEN = "open"
    DELAY = "delay"
    CUT = "cut"
    """Connections are reset, and new ones as soon as they are made."""
    HOLE = "hole"
    """Nothing passes, nobody is told; what was held comes out when it opens again, also when its sender is gone."""


class Way(StrEnum):
    """The direction in which a link is harmed."""

    BOTH = "both"
    THERE = "there"
    BACK = "back"


class _Connections:
    """All connections of one link."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._state = State.OPEN
        self._way = Way.BOTH
        self._seconds = 0.0
        self._changed = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()

    def become(self, state: State, way: Way, seconds: float) -> None:
        self._state, self._way, self._seconds = state, way, seconds
        if state is State.CUT:
            for writer in self._writers:
                writer.transport.abort()
        self._changed.set()
        self._changed = asyncio.Event()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def close(self) -> None:
        self.become(State.CUT, Way.BOTH, 0.0)
        await asyncio.gather(*self._serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        broker_writer: asyncio.StreamWriter | None = None
        self._writers.add(writer)
        try:
            if self._state is State.CUT:
                return
            broker_reader, broker_writer = await asyncio.open_connection(HOST, self._link.to)
            self._writers.add(broker_writer)
            await asyncio.gather(
                self._pump(Way.THERE, reader, broker_writer), self._pump(Way.BACK, broker_reader, writer)
            )
        except OSError:
            pass  # an end is gone: so is the connection
        finally:
            for each in filter(None, (writer, broker_writer)):
                self._writers.discard(each)
                each.transport.abort()

    async def _pump(self, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry bytes one way until they end."""
        with contextlib.suppress(OSError):  # the other way may still have something to carry
            while data := await reader.read(_CHUNK_BYTES):
                await self._passed(way)
                writer.write(data)
                await writer.drain()
            await self._passed(way)
            writer.write_eof()

    async def _passed(self, way: Way) -> None:
        """Wait until what has come in may go on."""
        while self._state is State.HOLE and self._way in (way, Way.BOTH):
            await self._changed.wait()
        if self._state is State.DELAY and self._way in (way, Way.BOTH):
            await asyncio.sleep(self._seconds)


async def main(links: list[Link]) -> None:
    """Carry bytes until the input ends."""
    connections = {link: _Connections(link) for link in links}
    servers = [await asyncio.start_server(found.accept, HOST, link.listen) for link, found in connections.items()]
    print("ready", flush=True)
    orders = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while line := await orders.readline():
        order = json.loads(line)
        for link, found in connections.items():
            if link.path == order["path"] and order["broker"] in (0, link.broker):
                found.become(State(order["state"]), Way(order["way"]), order["seconds"])
        print("obeyed", flush=True)
    for server in servers:
        server.close()
    await asyncio.gather(*(found.close() for found in connections.values()))


if __name__ == "__main__":
    asyncio.run(main([Link(*words) for words in json.loads(sys.argv[1])]))
