"""The settings of a node: small, quick, and strict where tests must not be lenient."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from engine.broker.ports import HOST

LOGGING: Final = """\
status = WARN
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %-5p %c{1}: %m%n
rootLogger.level = WARN
rootLogger.appenderRef.out.ref = out
"""
"""What a node writes to its log."""

QUICK: Final = {
    # The broker's own topics are made at the first use: one partition is made sooner than fifty.
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    # Tests may notice a dead member of a group soon.
    "group.min.session.timeout.ms": "500",
    "group.consumer.min.session.timeout.ms": "500",
    "group.consumer.min.heartbeat.interval.ms": "100",
    # A dead node is noticed within seconds; it may come back only then.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
}
"""What makes tests short, and what a broker of longer life leaves as it is."""


class Address(NamedTuple):
    """The ports of a node on the loopback interface: for clients, and for the other nodes' controllers."""

    client: int
    controller: int


class Door(NamedTuple):
    """A further way for clients into a node, behind something that stands between them: each way is a listener.

    Attributes:
        name: The listener's, in capital letters.
        port: Where the node listens.
        told: The port that clients who come in by it are told to use.
    """

    name: str
    port: int
    told: int


def node_settings(
    node: int, addresses: Sequence[Address], more: Mapping[str, str], doors: Sequence[Door] = ()
) -> dict[str, str]:
    """Return a node's settings by Kafka's names.

    Args:
        node: Its number, from 1.
        addresses: Those of all nodes, in order.
        more: Settings that win over ours.
        doors: Further ways in.
    """
    own = addresses[node - 1]
    voters = ",".join(f"{number}@{HOST}:{address.controller}" for number, address in enumerate(addresses, 1))
    names = ("PLAINTEXT", "CONTROLLER", *(door.name for door in doors))
    ports = (own.client, own.controller, *(door.port for door in doors))
    told = [f"PLAINTEXT://{HOST}:{own.client}", *(f"{door.name}://{HOST}:{door.told}" for door in doors)]
    return {
        "process.roles": "broker,controller",
        "node.id": str(node),
        # Voters by name rather than --standalone: the ports may differ at the next start on the same data.
        "controller.quorum.voters": voters,
        "listeners": ",".join(f"{name}://{HOST}:{port}" for name, port in zip(names, ports, strict=True)),
        # Without doors Kafka tells clients of the listeners themselves, also of those that `more` brings.
        **({"advertised.listeners": ",".join(told)} if doors else {}),
        "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in names),
        "controller.listener.names": "CONTROLLER",
        "log.dirs": "data",
        **common_settings(len(addresses)),
        **more,
    }


def common_settings(nodes: int) -> dict[str, str]:
    """Return the settings that do not depend on where the nodes run."""
    copies, in_sync = str(nodes), str(nodes // 2 + 1)
    return {
        # Replicas: all nodes; a write is acknowledged by the majority.
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": in_sync,
        # A topic that nobody made by name is a mistake.
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": "0",
        **QUICK,
    }


def as_text(settings: Mapping[str, str]) -> str:
    """Return settings as the text of a properties file."""
    return "".join(f"{name}={value}\n" for name, value in settings.items())
