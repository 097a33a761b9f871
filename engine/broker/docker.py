"""A cluster in Docker, each node a container; testcontainers removes them when this process ends, however it ends."""

import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from engine.broker.cluster import Cluster
from engine.broker.errors import BrokerError
from engine.broker.identity import new_cluster_id
from engine.broker.jars import KAFKA_VERSION
from engine.broker.java import SHORT_LIVED
from engine.broker.node import last_lines
from engine.broker.ports import HOST, consecutive_ports, free_ports
from engine.broker.ready import await_nodes
from engine.broker.settings import common_settings

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

IMAGE: Final = f"apache/kafka:{KAFKA_VERSION}"
_CLIENT_PORT: Final = 9092
_TAIL_LINES: Final = 200
_ENGINE: Final = "unix:///var/run/docker.sock"
_PING_SECONDS: Final = 5.0
_PING_BYTES: Final = 64
"""The first line of the answer, and no more."""


def docker_answers() -> bool:
    """Return whether a Docker engine of this machine can be used: its ports must lead to our loopback interface."""
    try:
        from testcontainers.core.docker_client import get_docker_host  # noqa: PLC0415 - comes with an extra
        from testcontainers.core.utils import inside_container  # noqa: PLC0415 - the same
    except ImportError:
        return False
    scheme, _, path = (get_docker_host() or _ENGINE).partition("://")
    return scheme == "unix" and not inside_container() and _ping(path)


def _ping(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as engine:
        engine.settimeout(_PING_SECONDS)
        try:
            engine.connect(path)
            engine.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            return b" 200 " in engine.recv(_PING_BYTES)
        except OSError:
            return False


def environment(node: int, nodes: int, port: int, cluster_id: str, more: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that make the image one node of a cluster.

    Args:
        node: Its number, from 1.
        nodes: How many there are; each is reached by the others under the name `node-N`.
        port: The port of this machine that leads to it.
        cluster_id: The cluster's id.
        more: Kafka's own settings that win over ours.
    """
    settings = {
        "process.roles": "broker,controller",
        "node.id": str(node),
        "controller.quorum.voters": ",".join(f"{each}@node-{each}:9093" for each in range(1, nodes + 1)),
        "listeners": f"CONTROLLER://:9093,INTERNAL://:19092,PLAINTEXT://:{_CLIENT_PORT}",
        "advertised.listeners": f"INTERNAL://node-{node}:19092,PLAINTEXT://{HOST}:{port}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,INTERNAL:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "inter.broker.listener.name": "INTERNAL",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": "/var/lib/kafka/data",
        **common_settings(nodes),
        **more,
    }
    return {
        "CLUSTER_ID": cluster_id,
        "KAFKA_HEAP_OPTS": "-Xmx512m",
        **{variable(name): value for name, value in settings.items()},
    }


def variable(name: str) -> str:
    """Return the environment variable by which the image knows a setting of Kafka."""
    return "KAFKA_" + name.replace("_", "__").replace("-", "___").replace(".", "_").upper()


class DockerCluster(Cluster):
    """One or three nodes in Docker, started and answering. Their data end with them.

    Args:
        nodes: How many.
        port: The first node's port for clients, the other nodes have the following ones; None for free ones.
        settings: Kafka's own settings that win over ours.
        short_lived: Whether they are to start with a third less work, and to be slower in the long run: for tests.

    Raises:
        BrokerError: They do not come up.
    """

    def __init__(
        self,
        nodes: int = 1,
        *,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        short_lived: bool = False,
    ) -> None:
        from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - comes with an extra
        from testcontainers.core.network import Network  # noqa: PLC0415 - the same

        self.place = f"in Docker, image {IMAGE}"
        self.nodes = tuple(range(1, nodes + 1))
        ports = free_ports(nodes) if port is None else consecutive_ports(port, nodes)
        self._ports = dict(zip(self.nodes, ports, strict=True))
        self.bootstrap = ",".join(f"{HOST}:{each}" for each in ports)
        self._cluster_id = new_cluster_id()
        self._containers: dict[int, DockerContainer] = {}
        self._network: Network | None = None
        try:
            self._network = Network().create()
            for node, each in self._ports.items():
                variables = environment(node, nodes, each, self._cluster_id, settings or {})
                container = DockerContainer(IMAGE).with_envs(**variables)
                if short_lived:
                    container.with_env("KAFKA_OPTS", SHORT_LIVED)
                container.with_network(self._network).with_network_aliases(f"node-{node}")
                container.ports[str(_CLIENT_PORT)] = (HOST, each)  # type: ignore[assignment]  # an address will do too
                self._containers[node] = container
                container.start()
            await_nodes(self._ports, self._cluster_id, self._check)
        except BaseException as error:  # containers outlive this process, so none may be left whatever ends the start
            self.close()
            if isinstance(error, BrokerError) or not isinstance(error, Exception):
                raise
            raise BrokerError(f"Expected {nodes} node(s) to start {self.place}, but found: {error}.") from error

    def kill(self, node: int) -> None:
        """Send the container SIGKILL."""
        if self._status(node) in {"running", "paused"}:
            self._container(node).get_wrapped_container().kill()
            self._container(node).get_wrapped_container().wait()

    def restart(self, node: int) -> None:
        """Start the container again; what it wrote is still in it."""
        self.kill(node)
        self._container(node).get_wrapped_container().start()
        await_nodes({node: self._ports[node]}, self._cluster_id, self._check)

    def pause(self, node: int) -> None:
        """Freeze the container."""
        self._living(node).get_wrapped_container().pause()

    def resume(self, node: int) -> None:
        """Let the container go on."""
        self._living(node).get_wrapped_container().unpause()

    def check(self) -> None:
        """Look whether all containers run."""
        for node in self.nodes:
            self._check(node)

    def close(self) -> None:
        """Remove the containers and their network."""
        for container in self._containers.values():
            container.stop()
        self._containers.clear()
        if self._network is not None:
            self._network.remove()
            self._network = None

    def _container(self, node: int) -> "DockerContainer":
        if node not in self._containers:
            raise self._no_such(node)
        return self._containers[node]

    def _status(self, node: int) -> str:
        container = self._container(node)
        container.reload()
        return container.status

    def _living(self, node: int) -> "DockerContainer":
        if self._status(node) not in {"running", "paused"}:
            raise self._dead(node)
        return self._container(node)

    def _check(self, node: int) -> str:
        lines = last_lines(self._container(node).get_wrapped_container().logs(tail=_TAIL_LINES))
        if self._status(node) not in {"running", "paused"}:
            raise BrokerError(f"Expected node {node} to live, but it has ended.{lines}")
        return lines
