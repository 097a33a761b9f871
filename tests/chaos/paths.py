"""The ways of processes to brokers: each process has its own, through a proxy that can harm it without the others."""

import random
from typing import NamedTuple

from engine.broker import BrokerError
from engine.broker.ports import HOST, consecutive_ports
from engine.broker.settings import Door
from engine.log.kafka import KafkaLocation

_FIRST = 10_000
_LAST = 19_000
"""Below the ports that the brokers themselves draw, so that none of them takes one of ours."""
_TRIES = 100


class Link(NamedTuple):
    """One path to one broker.

    Attributes:
        path: Whose path it is: a name in capital letters.
        broker: The broker's number, from 1.
        listen: The port on which the proxy listens.
        to: The port on which the broker listens.
    """

    path: str
    broker: int
    listen: int
    to: int


class Paths:
    """Ports for every path to every broker.

    Args:
        names: The paths.
        brokers: How many brokers there are.
    """

    def __init__(self, names: list[str], brokers: int) -> None:
        ports = iter(_free(2 * len(names) * brokers))
        self.links = [
            Link(name, broker, next(ports), next(ports)) for name in names for broker in range(1, brokers + 1)
        ]

    def doors(self, broker: int) -> list[Door]:
        """Return the listeners of a broker."""
        return [Door(link.path, link.to, link.listen) for link in self.links if link.broker == broker]

    def location(self, path: str, prefix: str) -> KafkaLocation:
        """Return where a log is for those who take a path."""
        return KafkaLocation(",".join(f"{HOST}:{link.listen}" for link in self.links if link.path == path), prefix)


def _free(count: int) -> list[int]:
    for _ in range(_TRIES):
        try:
            return consecutive_ports(random.SystemRandom().randrange(_FIRST, _LAST - count), count)
        except BrokerError:
            continue
    raise AssertionError(f"no {count} free ports in a row between {_FIRST} and {_LAST}")
