"""The brokers of a round, and the proxy in front of them."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from typing import Self

from confluent_kafka.admin import AdminClient

from engine.broker import BrokerError
from engine.broker.jvm import JvmCluster
from tests.chaos.keeping import ROOT
from tests.chaos.paths import Paths
from tests.chaos.proxy import State, Way

_STARTS_MAX = 3
_TOPICS_SECONDS = 3.0


class Proxy:
    """The proxy's process. Use it with `async with`."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._process: Process | None = None
        self._ordered = 0
        self._obeyed = asyncio.Condition()
        self._hearing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        links = json.dumps(self._paths.links)
        command = (sys.executable, "-m", "tests.chaos.proxy", links)
        self._process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, stdin=PIPE, stdout=PIPE, start_new_session=True
        )
        assert self._process.stdout is not None
        assert await self._process.stdout.readline() == b"ready\n", "the proxy does not begin"
        self._hearing = asyncio.create_task(self._hear(self._process.stdout))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
        if self._hearing is not None:
            await self._hearing

    def order(self, path: str, broker: int, state: State, way: Way = Way.BOTH, seconds: float = 0.0) -> None:
        """Let a path to a broker, or to all when that is 0, become something else."""
        assert self._process is not None
        assert self._process.stdin is not None
        order = {"path": path, "broker": broker, "state": state, "way": way, "seconds": seconds}
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._ordered += 1

    async def obeyed(self) -> None:
        """Wait until all orders are carried out."""
        async with self._obeyed:
            await self._obeyed.wait_for(lambda: not self._ordered)

    async def _hear(self, said: asyncio.StreamReader) -> None:
        while await said.readline():
            async with self._obeyed:
                self._ordered -= 1
                self._obeyed.notify_all()


class Brokers:
    """One or three brokers, some of which may be away.

    Args:
        cluster: The brokers.
    """

    def __init__(self, cluster: JvmCluster) -> None:
        self._cluster = cluster
        self.away: set[int] = set()

    @property
    def bootstrap(self) -> str:
        """The addresses that nothing stands in front of."""
        return self._cluster.bootstrap

    @property
    def all(self) -> list[int]:
        """Who there is."""
        return list(self._cluster.nodes)

    @property
    def present(self) -> list[int]:
        """Who is there."""
        return [node for node in self._cluster.nodes if node not in self.away]

    def may_go(self, most: int) -> bool:
        """Return whether one more may go when so many may be away at once, but never all of three."""
        return len(self.away) < min(most, max(1, len(self._cluster.nodes) - 1))

    async def kill(self, node: int, seconds: float) -> None:
        """Kill a broker, and start it again after a while."""
        self.away.add(node)
        await asyncio.to_thread(self._cluster.kill, node)
        await asyncio.sleep(seconds)
        await self.restart(node)

    async def stop(self, node: int, seconds: float) -> None:
        """Let a broker stand still for a while."""
        self.away.add(node)
        self._cluster.pause(node)
        await asyncio.sleep(seconds)
        self._cluster.resume(node)
        self.away.discard(node)

    async def restart(self, node: int) -> None:
        await asyncio.to_thread(self._cluster.restart, node)
        self.away.discard(node)

    async def leader(self, topic: str, partition: int) -> int:
        """Return who leads a partition; 0 when nobody can say."""
        try:
            admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
            found = await asyncio.to_thread(admin.list_topics, topic, _TOPICS_SECONDS)
            return int(found.topics[topic].partitions[partition].leader)
        except Exception:  # noqa: BLE001 - whatever keeps them from saying it
            return 0


def start(brokers: int, names: list[str]) -> tuple[JvmCluster, Paths]:
    """Start brokers with a door for each path; when somebody else takes a port meanwhile, once more with others."""
    for attempt in range(1, _STARTS_MAX + 1):
        paths = Paths(names, brokers)
        doors = {node: paths.doors(node) for node in range(1, brokers + 1)}
        try:
            return JvmCluster(brokers, short_lived=True, settings={"num.network.threads": "1"}, doors=doors), paths
        except BrokerError:
            if attempt == _STARTS_MAX:
                raise
    raise AssertionError("not reached")
