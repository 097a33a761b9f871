"""Asking a broker whether it is there, without a client library: one Metadata request of the Kafka protocol."""

import socket
import struct
from typing import Final, NamedTuple

_METADATA: Final = 3
_VERSION: Final = 4
"""The oldest that brokers of today speak, and plain to read."""
_CLIENT: Final = b"runline"
_TIMEOUT_SECONDS: Final = 5.0
_RESPONSE_BYTES_MAX: Final = 1024 * 1024


class Described(NamedTuple):
    """What a node says about its cluster.

    Attributes:
        cluster_id: The id that the cluster was formatted with.
        nodes: The numbers of the nodes that it knows to be up.
    """

    cluster_id: str
    nodes: frozenset[int]


def describe(host: str, port: int) -> Described | None:
    """Return what the node at an address says, or None while nothing there speaks Kafka."""
    body = struct.pack(f">hhih{len(_CLIENT)}sib", _METADATA, _VERSION, 0, len(_CLIENT), _CLIENT, 0, 0)
    try:
        with socket.create_connection((host, port), _TIMEOUT_SECONDS) as connection:
            connection.sendall(struct.pack(">i", len(body)) + body)
            (size,) = struct.unpack(">i", _read(connection, 4))
            if not 0 < size <= _RESPONSE_BYTES_MAX:
                return None
            return _parse(_read(connection, size))
    except (OSError, struct.error):
        return None


def _read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise ConnectionResetError("the answer ended too early")
        data += more
    return data


def _parse(data: bytes) -> Described:
    _, _, count = struct.unpack_from(">iii", data)
    position, nodes = 12, set[int]()
    for _ in range(count):
        (node,) = struct.unpack_from(">i", data, position)
        nodes.add(node)
        _, position = _text(data, position + 4)  # the host
        _, position = _text(data, position + 4)  # behind the port: the rack
    cluster_id, _ = _text(data, position)
    return Described(cluster_id, frozenset(nodes))


def _text(data: bytes, position: int) -> tuple[str, int]:
    (length,) = struct.unpack_from(">h", data, position)
    begin = position + 2
    end = begin + max(0, length)  # -1 stands for no text
    return data[begin:end].decode(errors="replace"), end
