"""A cluster on the Java runtime, each node a process of its own."""

import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from engine.broker.cluster import Cluster
from engine.broker.errors import BrokerError
from engine.broker.home import Home
from engine.broker.java import java_command
from engine.broker.node import FATAL, TAKEN, Node, last_lines
from engine.broker.ports import HOST, consecutive_ports, free_ports
from engine.broker.ready import await_nodes
from engine.broker.settings import Address, Door, node_settings

_STARTS_MAX: Final = 2


class JvmCluster(Cluster):
    """One or three nodes, started and answering; they end with this process, however it ends.

    Args:
        nodes: How many.
        directory: Where everything is kept, for the next start too; None for a temporary one.
        port: The first node's port for clients, the other nodes have the following ones; None for free ones.
        settings: Kafka's own settings that win over ours.
        short_lived: Whether they are to start with a third less work, and to be slower in the long run: for tests.
        doors: Further ways for clients into each node, by its number.

    Attributes:
        directory: Where everything is kept.

    Raises:
        BrokerError: They do not come up.
    """

    def __init__(
        self,
        nodes: int = 1,
        *,
        directory: Path | None = None,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        short_lived: bool = False,
        doors: Mapping[int, Sequence[Door]] | None = None,
    ) -> None:
        java = java_command(short_lived=short_lived)
        self._home = Home(directory)
        self.directory = self._home.path
        self.place = f"on the Java runtime, in {self.directory}"
        self.nodes = tuple(range(1, nodes + 1))
        self._nodes = {each: Node(each, java, self._home) for each in self.nodes}
        self._settings = dict(settings or {})
        self._doors = dict(doors or {})
        self._addresses: list[Address] = []
        try:
            self._cluster_id = self._home.cluster_id(nodes)
            self._start(port)
        except BaseException:  # nobody else knows of nodes that are half started, to end them
            self.close()
            raise
        self.bootstrap = ",".join(f"{HOST}:{address.client}" for address in self._addresses)

    def process(self, node: int) -> int:
        """Return the number of a node's process.

        Raises:
            BrokerError: The cluster has no such node.
        """
        return self._node(node).process

    def kill(self, node: int) -> None:
        """Send a node SIGKILL, and wait until it is gone."""
        self._node(node).kill()

    def restart(self, node: int) -> None:
        """Start a node on its data, and wait until it answers and is back in the cluster."""
        found = self._node(node)
        found.kill()
        found.start()
        self._await(node)

    def pause(self, node: int) -> None:
        """Send a node SIGSTOP."""
        self._living(node).send(signal.SIGSTOP)

    def resume(self, node: int) -> None:
        """Send a node SIGCONT."""
        self._living(node).send(signal.SIGCONT)

    def check(self) -> None:
        """Look whether all processes live."""
        for node in self.nodes:
            self._check(node)

    def close(self) -> None:
        """End all nodes; a temporary directory is removed."""
        for node in self._nodes.values():
            node.begin_stop()
        for node in self._nodes.values():
            node.join()
        self._home.close()

    def _node(self, number: int) -> Node:
        if number not in self._nodes:
            raise self._no_such(number)
        return self._nodes[number]

    def _living(self, number: int) -> Node:
        node = self._node(number)
        if not node.alive:
            raise self._dead(number)
        return node

    def _start(self, port: int | None) -> None:
        """Start all nodes; when somebody else took a port in the meantime, once more with others."""
        for attempt in range(1, _STARTS_MAX + 1):
            self._addresses = self._choose(port)
            for node in self._nodes.values():
                doors = self._doors.get(node.number, ())
                node.configure(node_settings(node.number, self._addresses, self._settings, doors))
            if attempt == 1:
                self._format()
            try:
                for node in self._nodes.values():
                    node.start()
                self._await(*self.nodes)
            except BrokerError as error:
                if TAKEN not in str(error) or attempt == _STARTS_MAX or port is not None:
                    raise
                for node in self._nodes.values():
                    node.kill()
            else:
                return

    def _choose(self, port: int | None) -> list[Address]:
        count = len(self.nodes)
        free = free_ports(2 * count)
        clients = free[:count] if port is None else consecutive_ports(port, count)
        return [Address(client, controller) for client, controller in zip(clients, free[count:], strict=True)]

    def _format(self) -> None:
        programs = [(node, node.begin_format(self._cluster_id)) for node in self._nodes.values()]
        printed = [(node, program.communicate()[0], program.returncode) for node, program in programs]
        for node, text, code in printed:
            if code:
                reason = last_lines(text)
                raise BrokerError(
                    f"Expected the data directory of node {node.number} to be made, but it was not.{reason}"
                )

    def _check(self, number: int) -> str:
        """Return the last lines of a node's log.

        Raises:
            BrokerError: Its process has ended, or is about to.
        """
        node = self._nodes[number]
        alive, lines = node.alive, node.tail()
        if not alive or FATAL in lines:
            raise BrokerError(f"Expected node {number} to live, but it has ended.{lines}")
        return lines

    def _await(self, *nodes: int) -> None:
        ports = {node: self._addresses[node - 1].client for node in nodes}
        await_nodes(ports, self._cluster_id, self._check)
