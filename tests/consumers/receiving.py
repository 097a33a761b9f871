"""A receiver of webhooks: a real server on a port of its own, which answers whatever bytes a test wants."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import NamedTuple

from consumers.host.delivery import Delivery
from engine import Run, RunStatus
from engine.core.identity import make_run_id
from engine.core.state import TraceStatus
from engine.run import Trace


class Request(NamedTuple):
    """What was received."""

    line: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Receiver:
    """Keeps what it receives; a script says how each request is answered, the last answer serving all others."""

    def __init__(self, *script: Answer) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.port = 0
        self._script = list(script) or [status(204)]
        self._arrived = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks?token=t"

    async def received(self, count: int) -> None:
        """Wait until so many requests have arrived."""
        while len(self.requests) < count:
            self._arrived.clear()
            await self._arrived.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = {name.lower(): value for name, _, value in (row.partition(": ") for row in head[1:] if row)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.requests.append(Request(head[0], headers, body))
                self._arrived.set()
                await self._script[min(len(self.requests), len(self._script)) - 1](writer)
        finally:
            writer.close()


@asynccontextmanager
async def receiving(
    *script: Answer, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    """Run a receiver."""
    receiver = Receiver(*script)
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(receiver.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, host, port, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def status(code: int, *headers: str, body: bytes = b"") -> Answer:
    """Answer with this status, these headers and this body."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {code} Whatever", *headers, f"Content-Length: {len(body)}", "", ""]
        writer.write("\r\n".join(lines).encode() + body)
        await writer.drain()

    return answer


RUN = Run(
    run_id=make_run_id(1_700_000_000_000, 7),
    workflow_id="order",
    workflow_version="f" * 64,
    tags=("blue",),
    run_status=RunStatus.SUCCESS,
    message="success",
    error=None,
    input_context='{"total":{"$type":"decimal","value":"1.10"}}',
    output_context='{"secret":"s"}',
    created=datetime(2026, 1, 2, 3, 4, 5, 6, UTC),
    started=datetime(2026, 1, 2, 3, 4, 5, 7, UTC),
    stopped=datetime(2026, 1, 2, 3, 4, 5, 8, UTC),
    commit_id="c" * 64,
)
TRACE = Trace(
    trace_id=f"{RUN.run_id}.2",
    run_id=RUN.run_id,
    number=2,
    node_id="pay",
    node_type="code",
    title="Pay",
    attempt=1,
    trace_status=TraceStatus.SUCCESS,
    message="",
    error=None,
    input_context="{}",
    output_context="{}",
    started=datetime(2026, 1, 2, 3, 4, 5, 7, UTC),
    stopped=datetime(2026, 1, 2, 3, 4, 5, 8, UTC),
    commit_id="c" * 64,
)


def delivery(number: int = 1, event_type: str = "run.succeeded", attempt: int = 1) -> Delivery:
    """Return a delivery as its host would make it."""
    return Delivery(
        event_id=f"{'c' * 64}.{number}",
        event_type=event_type,
        partition=0,
        offset=10,
        index=number,
        time=datetime(2026, 1, 2, 3, 4, 5, 8, UTC),
        cause="",
        correlation=RUN.run_id,
        attempt=attempt,
    )
