"""Ports that nobody listens on."""

import random
import socket
from typing import Final

HOST: Final = "127.0.0.1"
_FIRST: Final = 20_000
_LAST: Final = 32_767
"""Below the ports that systems give to outgoing connections: a client must not take a killed node's port."""
_TRIES_MAX: Final = 1_000


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback interface that were free a moment ago.

    Raises:
        OSError: None was found.
    """
    found: list[int] = []
    for port in random.SystemRandom().sample(range(_FIRST, _LAST + 1), _TRIES_MAX):
        if len(found) == count:
            return found
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            found.append(port)
    raise OSError(f"no {count} free ports between {_FIRST} and {_LAST} on {HOST}")
