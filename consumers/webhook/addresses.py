"""Which addresses a webhook may connect to: the public ones, and those that were allowed by name.

Whoever may name an endpoint could otherwise have requests sent to the machines beside this one. The check stands where
a socket is made, and is given the very address that this socket connects to: no name is resolved again after it.
"""

import errno
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from consumers.host.arguments import wrong
from engine.errors import ArgumentError

_Address = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network

_ALSO_REFUSED: Final[tuple[_Network, ...]] = tuple(
    ip_network(each)
    for each in (
        "168.63.129.16/32",  # answers for the platform inside every machine of one large cloud
        "192.0.0.0/24",  # these four are not for everybody either, but not all versions of ipaddress know
        "192.88.99.0/24",
        "2002::/16",
        "3fff::/20",
        "fec0::/10",
    )
)
_NAT64: Final = IPv6Network("64:ff9b::/96")


class Addresses:
    """The addresses that may be connected to.

    Args:
        allowed: Networks such as `10.1.0.0/16` that may be, although they are not public.

    Raises:
        ArgumentError: A text is no network.
    """

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        self._allowed = [_network(text) for text in _listed(allowed)]

    def make_socket(self, info: "tuple[object, ...]") -> socket.socket:
        """Return a socket for an address as `socket.getaddrinfo` gives it.

        Raises:
            PermissionError: It may not be connected to.
        """
        family, kind, protocol, _, place = info
        assert isinstance(family, int)
        assert isinstance(kind, int)
        assert isinstance(protocol, int)
        assert isinstance(place, tuple)
        if not self.allows(place[0]):
            raise PermissionError(errno.EACCES, f"{place[0]} is not a public address, and no allowed network has it")
        return socket.socket(family, kind, protocol)

    def allows(self, text: str) -> bool:
        """Return whether an address may be connected to."""
        address = _unwrapped(ip_address(text))
        return _public(address) or any(address in network for network in self._allowed)


def _listed(allowed: object) -> Sequence[object]:
    # A text alone is a sequence, too: of characters.
    if isinstance(allowed, str | bytes) or not isinstance(allowed, Sequence):
        raise wrong("a list of networks such as ['10.1.0.0/16'] as allowed_networks", allowed)
    return allowed


def _network(text: object) -> _Network:
    if isinstance(text, str):
        try:
            return ip_network(text)
        except ValueError:
            pass
    raise ArgumentError(
        f"expected a network such as '10.1.0.0/16' or '::1/128' in allowed_networks, but found {text!r:.80}."
    )


def _unwrapped(address: _Address) -> _Address:
    """Return the IPv4 address that an IPv6 address stands for, if it does."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(address.packed[-4:])
    return address


def _public(address: _Address) -> bool:
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not any(address in network for network in _ALSO_REFUSED)
    )
