"""A broker that runs already is used where it is named, and left alone."""

import socket
import threading

import pytest

from engine.broker import ADDRESS_VARIABLE, BrokerError, find_broker, start_broker
from engine.broker.identity import new_cluster_id
from engine.broker.ports import HOST, free_ports
from engine.broker.probe import describe


def test_the_broker_that_the_environment_names_is_used_and_not_ended(
    broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ADDRESS_VARIABLE, f"{HOST}:{free_ports(1)[0]}, {broker}")
    with find_broker() as cluster:
        assert cluster.bootstrap.endswith(broker)
        assert cluster.nodes == ()
        cluster.check()
        for attempt in (cluster.kill, cluster.restart, cluster.pause, cluster.resume):
            with pytest.raises(BrokerError, match=r"none, because .* is somebody else's; found 1"):
                attempt(1)
    host, _, port = broker.partition(":")
    assert describe(host, int(port)) is not None


def test_a_named_broker_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    monkeypatch.setenv(ADDRESS_VARIABLE, f"{HOST}:{port}")
    with pytest.raises(BrokerError, match=rf"RUNLINE_BROKER names, but found: {HOST}:{port}: .*refused.*unset"):
        find_broker()


@pytest.mark.parametrize("address", ["localhost", ":9092", "localhost:", "localhost:kafka", "a:1,b"])
def test_a_name_of_another_form_is_an_error(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ADDRESS_VARIABLE, address)
    with pytest.raises(BrokerError, match="Expected host:port"):
        find_broker()


@pytest.mark.parametrize("nodes", [0, 2, 4])
def test_only_one_or_three_nodes_are_started(nodes: int) -> None:
    with pytest.raises(BrokerError, match=f"Expected 1 or 3 nodes, found {nodes}"):
        start_broker(nodes)


def test_a_node_tells_the_id_and_the_nodes_of_its_cluster(broker: str) -> None:
    host, _, port = broker.partition(":")
    found = describe(host, int(port))
    assert found is not None
    assert len(found.cluster_id) == 22
    assert found.nodes == {1}


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes(4), b"\x00\x00\x00\x08" + bytes(8)])
def test_what_does_not_speak_kafka_is_no_broker(answer: bytes) -> None:
    with socket.create_server((HOST, 0)) as server:

        def serve() -> None:
            with server.accept()[0] as connection:
                connection.recv(1024)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        assert describe(HOST, server.getsockname()[1]) is None
        thread.join()


def test_where_nobody_listens_is_no_broker() -> None:
    assert describe(HOST, free_ports(1)[0]) is None


def test_ports_are_not_those_that_connections_going_out_are_given() -> None:
    with socket.socket() as client:
        client.bind((HOST, 0))
        given = client.getsockname()[1]
    ports = free_ports(6)
    assert len(set(ports)) == 6
    assert max(ports) < 32_768 <= given


def test_the_id_of_a_cluster_is_never_taken_for_an_option() -> None:
    ids = [new_cluster_id() for _ in range(2_000)]  # of 64 ids at random, one begins with a dash
    assert len(set(ids)) == 2_000
    assert not [each for each in ids if each.startswith("-") or len(each) != 22]
