"""Brokers that belong together, and what a test may do to them."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from engine.broker.errors import BrokerError


class Cluster(ABC):
    """The nodes of one Kafka cluster; as a context manager it is closed at the end.

    Attributes:
        bootstrap: The addresses of all nodes, as `host:port[,host:port]`, for a client's `bootstrap.servers`.
        nodes: The numbers of the nodes that can be killed, paused and so on; empty when the cluster is somebody else's.
        place: Where it runs, for people.
    """

    bootstrap: str
    nodes: tuple[int, ...]
    place: str

    @abstractmethod
    def kill(self, node: int) -> None:
        """End a node as a loss of power of its process would (SIGKILL); its data stay. A dead node stays dead.

        Raises:
            BrokerError: The cluster has no such node.
        """

    @abstractmethod
    def restart(self, node: int) -> None:
        """Start a node on its data, at its address; a living one is killed first. Returns when it answers.

        Raises:
            BrokerError: The cluster has no such node, or it does not come up.
        """

    @abstractmethod
    def pause(self, node: int) -> None:
        """Stop a node where it is (SIGSTOP): its connections stay, nothing is answered.

        Raises:
            BrokerError: The cluster has no such node, or it is dead.
        """

    @abstractmethod
    def resume(self, node: int) -> None:
        """Let a paused node go on.

        Raises:
            BrokerError: The cluster has no such node, or it is dead.
        """

    @abstractmethod
    def check(self) -> None:
        """Do nothing while all nodes live.

        Raises:
            BrokerError: A node is dead.
        """

    @abstractmethod
    def close(self) -> None:
        """End what was started here; once more does nothing."""

    def _no_such(self, node: int) -> BrokerError:
        """Return what is wrong with the number of a node."""
        there = ", ".join(map(str, self.nodes)) or f"none, because {self.bootstrap} is {self.place}"
        return BrokerError(f"Expected the number of a node, which are {there}; found {node}.")

    def _dead(self, node: int) -> BrokerError:
        """Return what is wrong with asking something of a dead node."""
        return BrokerError(f"Expected node {node} to live, but it is dead.", hint="Restart it first.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class ForeignCluster(Cluster):
    """A cluster at an address, started and ended by somebody else.

    Args:
        bootstrap: Its addresses, as `host:port[,host:port]`.
    """

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.nodes = ()
        self.place = "somebody else's"

    def kill(self, node: int) -> None:
        """Refuse it."""
        raise self._no_such(node)

    def restart(self, node: int) -> None:
        """Refuse it."""
        raise self._no_such(node)

    def pause(self, node: int) -> None:
        """Refuse it."""
        raise self._no_such(node)

    def resume(self, node: int) -> None:
        """Refuse it."""
        raise self._no_such(node)

    def check(self) -> None:
        """Do nothing: its owner looks after it."""

    def close(self) -> None:
        """Do nothing: whoever started it ends it."""
