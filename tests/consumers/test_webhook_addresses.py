"""Where webhooks go, and where they never go: real sockets, names and certificates."""

import socket
import ssl
from collections.abc import Sequence

import pytest
import trustme

from consumers.webhook import Webhook, WebhookError
from consumers.webhook.addresses import Addresses
from engine.errors import ArgumentError
from tests.consumers.receiving import RUN, delivery, receiving

SECRET = "whsec_" + "A" * 43 + "="


async def send(url: str, *, allowed: Sequence[str] = (), ssl_context: ssl.SSLContext | None = None) -> None:
    webhook = Webhook(
        url, [SECRET], allow_http=True, allowed_networks=allowed, ssl_context=ssl_context, timeout=5.0, patience=0.0
    )
    await webhook.run_progress(RUN, delivery())


# Addresses.


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104 - nothing is bound
        "10.1.2.3",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.255",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%1",
        "fec0::1",
        "ff02::1",
    ],
)
def test_an_address_that_is_not_public_is_refused_before_there_is_a_socket(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with pytest.raises(PermissionError, match="is not a public address"):
        Addresses().make_socket((family, socket.SOCK_STREAM, 0, "", (address, 443)))


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "93.184.215.14", "172.15.0.1", "172.32.0.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"],
)
def test_public_addresses_are_connected_to(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    Addresses().make_socket((family, socket.SOCK_STREAM, 0, "", (address, 443))).close()


@pytest.mark.parametrize(
    ("allowed", "address", "allows"),
    [
        ("10.1.0.0/16", "10.1.255.1", True),
        ("10.1.0.0/16", "10.2.0.1", False),
        ("10.1.0.0/16", "::ffff:10.1.0.1", True),
        ("10.1.0.0/16", "64:ff9b::a01:1", True),
        ("::1/128", "::1", True),
        ("::1/128", "127.0.0.1", False),
        ("fd00::/8", "fd12::1", True),
        ("0.0.0.0/0", "127.0.0.1", True),
        ("0.0.0.0/0", "::1", False),
    ],
)
def test_networks_are_allowed_by_name(allowed: str, address: str, *, allows: bool) -> None:
    assert Addresses([allowed]).allows(address) is allows


@pytest.mark.parametrize("network", ["10.1.2.3/16", "localhost", "10.0.0.0/33", "", 5])
def test_what_is_no_network_is_refused(network: str) -> None:
    with pytest.raises(ArgumentError, match="expected a network such as"):
        Webhook("https://example.com", [SECRET], allowed_networks=[network])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"])  # noqa: S104 - it is called, not bound
async def test_nothing_is_sent_to_this_machine_whatever_it_is_called(host: str) -> None:
    async with receiving() as receiver:
        with pytest.raises(WebhookError, match="is not a public address, and no allowed network has it"):
            await send(f"http://{host}:{receiver.port}")
    assert receiver.connections == 0


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "0177.0.0.1", "127.0.0.1."])
async def test_nothing_is_sent_to_an_address_in_disguise(host: str) -> None:
    async with receiving() as receiver:
        with pytest.raises(WebhookError):
            await send(f"http://{host}:{receiver.port}")
    assert receiver.connections == 0


async def test_a_name_whose_address_changes_between_two_requests_is_checked_at_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    found = socket.getaddrinfo

    def rebound(host: object, port: int, *more: int) -> object:
        asked.append(str(host))
        return found(f"127.0.0.{len(asked)}", port, *more)

    async with receiving() as good, receiving(host="127.0.0.2", port=good.port) as bad:
        monkeypatch.setattr(socket, "getaddrinfo", rebound)
        url = f"http://rebound.example:{good.port}"
        await send(url, allowed=["127.0.0.1/32"])
        with pytest.raises(WebhookError, match=r"127\.0\.0\.2 is not a public address"):
            await send(url, allowed=["127.0.0.1/32"])
    # One request asks for the address once, and connects to what it was told.
    assert asked == ["rebound.example"] * 2
    assert (good.connections, bad.connections) == (1, 0)


async def test_of_several_addresses_those_that_may_not_be_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    found = socket.getaddrinfo

    def both(host: object, port: int, *more: int) -> object:  # noqa: ARG001 - every name has both
        return [*found("127.0.0.2", port, *more), *found("127.0.0.1", port, *more)]

    async with receiving() as good, receiving(host="127.0.0.2", port=good.port) as bad:
        monkeypatch.setattr(socket, "getaddrinfo", both)
        await send(f"http://both.example:{good.port}", allowed=["127.0.0.1/32"])
        with pytest.raises(WebhookError, match="is not a public address"):
            await send(f"http://both.example:{good.port}")
    assert (good.connections, bad.connections) == (1, 0)


async def test_a_name_that_nobody_has_is_an_error() -> None:
    with pytest.raises(WebhookError, match=r"nobody\.invalid cannot be reached"):
        await send("https://nobody.invalid")


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as receiver, receiving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        await send(receiver.url, allowed=["127.0.0.0/8"])
    assert (receiver.connections, proxy.connections) == (1, 0)


# Certificates.


def contexts(name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return what a server of this name, and a client that trusts its authority, need."""
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert(name).configure_cert(server)
    authority.configure_trust(client)
    return server, client


async def test_the_certificate_is_that_of_the_name_not_of_the_address() -> None:
    server, client = contexts("localhost")
    async with receiving(tls=server) as receiver:
        await send(f"https://localhost:{receiver.port}", allowed=["127.0.0.0/8"], ssl_context=client)
        assert len(receiver.requests) == 1
        with pytest.raises(WebhookError, match="IP address mismatch"):
            await send(f"https://127.0.0.1:{receiver.port}", allowed=["127.0.0.0/8"], ssl_context=client)
    assert len(receiver.requests) == 1


async def test_a_certificate_of_an_unknown_authority_is_refused() -> None:
    server, _ = contexts("localhost")
    async with receiving(tls=server) as receiver:
        with pytest.raises(WebhookError, match="CERTIFICATE_VERIFY_FAILED"):
            await send(f"https://localhost:{receiver.port}", allowed=["127.0.0.0/8"])
    assert receiver.requests == []


# URLs.


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://user:hidden@example.com", "without user and password"),
        ("https://hidden@example.com", "without user and password"),
        ("https://example.com/#top", "without a fragment"),
        ("http://example.com/?token=hidden", "begins with https://"),
        ("ftp://example.com", "begins with https://"),
        ("file:///etc/passwd", "expected a URL"),
        ("example.com/hidden", "expected a URL"),
        ("https://", "expected a URL"),
        ("https://[hidden", "expected a URL"),
        ("https://example.com:99999", "expected a URL"),
        ("", "expected a URL"),
        (5, "expected a URL"),
    ],
)
def test_a_url_that_is_no_endpoint_is_refused_without_what_may_be_secret(url: str, text: str) -> None:
    with pytest.raises(ArgumentError, match=text) as refused:
        Webhook(url, [SECRET])
    assert "hidden" not in str(refused.value)


def test_without_tls_it_must_be_asked_for() -> None:
    with pytest.raises(ArgumentError, match="allow_http=True"):
        Webhook("http://example.com", [SECRET])
    Webhook("http://example.com", [SECRET], allow_http=True)


async def test_what_is_secret_in_a_url_is_not_in_an_error() -> None:
    with pytest.raises(WebhookError) as refused:
        await send("http://127.0.0.1:1/hidden?token=hidden")
    assert "hidden" not in str(refused.value)
