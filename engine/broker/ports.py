"""Ports that nobody listens on."""

import itertools
import random
import socket
from typing import Final

from engine.broker.errors import BrokerError

HOST: Final = "127.0.0.1"
_FIRST: Final = 20_000
_LAST: Final = 32_767
"""Below the ports that systems give to outgoing connections: a client must not take a killed node's port."""
_TRIES_MAX: Final = 1_000


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback interface that were free a moment ago.

    Raises:
        BrokerError: There are none.
    """
    candidates = random.SystemRandom().sample(range(_FIRST, _LAST + 1), _TRIES_MAX)
    found = list(itertools.islice((port for port in candidates if _refusal(port) is None), count))
    if len(found) < count:
        raise BrokerError(f"Expected {count} free ports between {_FIRST} and {_LAST} on {HOST}, found {len(found)}.")
    return found


def consecutive_ports(first: int, count: int) -> list[int]:
    """Return the ports of the loopback interface from a given one on.

    Raises:
        BrokerError: One of them is not free.
    """
    ports = list(range(first, first + count))
    for port in ports:
        refusal = _refusal(port)
        if refusal is not None:
            raise BrokerError(f"Expected port {port} of {HOST} to be free, but found: {refusal.strerror}.")
    return ports


def _refusal(port: int) -> OSError | None:
    with socket.socket() as listener:
        # As Java does it: connections of a program that has ended do not keep the port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            return error
    return None
