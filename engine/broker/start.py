"""The way to a broker: one that runs already, else Docker, else the Java runtime."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from engine.broker.cluster import Cluster, ForeignCluster
from engine.broker.docker import DockerCluster, docker_answers
from engine.broker.errors import BrokerError
from engine.broker.jvm import JvmCluster

ADDRESS_VARIABLE: Final = "RUNLINE_BROKER"
"""Names a broker that runs already: `host:port[,host:port]`."""
SIZES: Final = (1, 3)
"""Nodes of a cluster: one, or as many as lose one without losing anything."""
_CONNECT_SECONDS: Final = 10.0


def find_broker() -> Cluster:
    """Return the broker that the environment variable RUNLINE_BROKER names, or start a short-lived one.

    Raises:
        BrokerError: There is no broker, and why.
    """
    address = os.environ.get(ADDRESS_VARIABLE)
    if not address:
        return start_broker(short_lived=True)
    _connect(address)
    return ForeignCluster(address)


def start_broker(
    nodes: int = 1,
    *,
    directory: Path | None = None,
    port: int | None = None,
    settings: Mapping[str, str] | None = None,
    short_lived: bool = False,
) -> Cluster:
    """Start brokers, and return when they answer.

    A Docker engine is used where one answers, unless a directory is given; else the Java runtime of the extra `broker`.
    They end when the cluster is closed, or when this process ends, however it ends.

    Args:
        nodes: One or three.
        directory: Where settings, data and logs are kept for the next start; None for a temporary place.
        port: The first node's port for clients, the other nodes have the following ones; None for free ones.
        settings: Kafka's own settings that win over ours.
        short_lived: Whether they are to start with a third less work, and to be slower in the long run: for tests.

    Raises:
        BrokerError: They do not come up, and why.
    """
    if nodes not in SIZES:
        raise BrokerError(f"Expected {' or '.join(map(str, SIZES))} nodes, found {nodes}.")
    if directory is None and docker_answers():
        return DockerCluster(nodes, port=port, settings=settings, short_lived=short_lived)
    return JvmCluster(nodes, directory=directory, port=port, settings=settings, short_lived=short_lived)


def _connect(bootstrap: str) -> None:
    """Make sure that something listens at one of the addresses; whether it is a broker, the client finds out."""
    reasons = []
    for address in bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        if not host or not port.isdecimal():
            raise BrokerError(f"Expected host:port[,host:port] in {ADDRESS_VARIABLE}, found {bootstrap!r}.")
        try:
            socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()
        except (OSError, OverflowError) as error:
            reasons.append(f"{address.strip()}: {error}")
        else:
            return
    raise BrokerError(
        f"Expected a broker at an address that {ADDRESS_VARIABLE} names, but found: {'; '.join(reasons)}.",
        hint=f"Start it, or unset {ADDRESS_VARIABLE} to have one started here.",
    )
