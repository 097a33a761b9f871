"""The proxy: what passes, what is held, and what is cut."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from engine.broker.ports import HOST
from tests.chaos.brokers import Proxy
from tests.chaos.paths import Paths
from tests.chaos.proxy import State, Way

SECONDS = 30.0
DELAY_SECONDS = 0.2


class Server:
    """Answers every line with the same line, and keeps what it heard."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            self.heard.put_nowait(line)
            writer.write(line)
        writer.close()


@asynccontextmanager
async def proxied() -> AsyncIterator[tuple[Proxy, Server, asyncio.StreamReader, asyncio.StreamWriter, int]]:
    """Give a proxy, a server behind its path A, and a connection to it that has been used."""
    paths = Paths(["A", "B"], 1)
    server = Server()
    listening = [await asyncio.start_server(server.serve, HOST, link.to) for link in paths.links]
    async with asyncio.timeout(SECONDS), Proxy(paths) as proxy:
        port = paths.links[0].listen
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"one\n")
        assert await reader.readline() == b"one\n"
        assert await server.heard.get() == b"one\n"
        yield proxy, server, reader, writer, port
        writer.transport.abort()
    for each in listening:
        each.close()


async def another(port: int) -> bytes:
    """Return what a new connection answers to a line, or nothing when it is reset."""
    try:
        reader, writer = await asyncio.open_connection(HOST, port)
    except ConnectionError:
        return b""
    try:
        writer.write(b"new\n")
        return await reader.readline()
    except ConnectionError:
        return b""
    finally:
        writer.transport.abort()


async def test_what_a_black_hole_held_comes_out_when_it_opens_although_the_sender_is_gone() -> None:
    async with proxied() as (proxy, server, _, writer, _):
        proxy.order("A", 0, State.HOLE, Way.BOTH)
        proxy.order("B", 0, State.CUT)
        await proxy.obeyed()
        writer.write(b"late\n")
        writer.close()
        await writer.wait_closed()
        assert server.heard.empty()
        proxy.order("A", 0, State.OPEN)
        assert await server.heard.get() == b"late\n"


async def test_a_hole_in_the_way_back_lets_through_what_is_asked_but_no_answer() -> None:
    async with proxied() as (proxy, server, reader, writer, _):
        proxy.order("A", 1, State.HOLE, Way.BACK)
        await proxy.obeyed()
        writer.write(b"two\n")
        assert await server.heard.get() == b"two\n"
        answer = asyncio.create_task(reader.readline())
        await asyncio.sleep(0)
        assert not answer.done()
        proxy.order("A", 1, State.OPEN)
        assert await answer == b"two\n"


async def test_a_path_that_is_cut_resets_what_there_is_and_what_comes() -> None:
    async with proxied() as (proxy, _, reader, _, port):
        proxy.order("A", 0, State.CUT)
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        assert await another(port) == b""
        proxy.order("A", 0, State.OPEN)
        await proxy.obeyed()
        assert await another(port) == b"new\n"


async def test_a_delay_takes_as_long_as_it_is_told() -> None:
    async with proxied() as (proxy, _, reader, writer, _):
        proxy.order("A", 0, State.DELAY, Way.BOTH, DELAY_SECONDS)
        await proxy.obeyed()
        begun = asyncio.get_running_loop().time()
        writer.write(b"slow\n")
        assert await reader.readline() == b"slow\n"
        assert asyncio.get_running_loop().time() - begun >= 2 * DELAY_SECONDS
