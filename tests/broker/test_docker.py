"""Brokers in Docker, as far as they can be tested where no engine is: when it is used, and what the image is told."""

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from testcontainers.core import utils

from engine.broker.docker import docker_answers, environment, variable
from engine.broker.settings import Address, common_settings, node_settings

Engine = Callable[[bytes], str]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Listen like a Docker engine that gives one answer, and return its address."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "docker.sock"))
        server.listen()
        threads: list[threading.Thread] = []

        def listen(answer: bytes) -> str:
            def serve() -> None:
                with server.accept()[0] as connection:
                    assert connection.recv(1024).startswith(b"GET /_ping HTTP/1.0\r\n")
                    connection.sendall(answer)

            threads.append(threading.Thread(target=serve))
            threads[-1].start()
            return f"unix://{tmp_path / 'docker.sock'}"

        yield listen
        for thread in threads:
            thread.join()


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody's own configuration of Docker or testcontainers be found."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    monkeypatch.setattr(utils, "inside_container", lambda: False)


def test_an_engine_that_answers_is_used(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine(b"HTTP/1.0 200 OK\r\n\r\nOK"))
    assert docker_answers()


def test_an_engine_whose_ports_are_elsewhere_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utils, "inside_container", lambda: True)
    assert not docker_answers()


def test_an_engine_in_trouble_is_not_used(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine(b"HTTP/1.0 500 Internal Server Error\r\n\r\n"))
    assert not docker_answers()


@pytest.mark.parametrize("address", ["unix:///nowhere/docker.sock", "tcp://127.0.0.1:2375", "ssh://somebody@elsewhere"])
def test_without_an_engine_of_this_machine_docker_is_not_used(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", address)
    assert not docker_answers()


def test_the_image_knows_settings_by_its_own_names() -> None:
    assert variable("controller.quorum.voters") == "KAFKA_CONTROLLER_QUORUM_VOTERS"
    assert variable("a.b_c-d") == "KAFKA_A_B__C___D"


def test_a_container_gets_the_settings_of_a_node_on_the_java_runtime() -> None:
    variables = environment(2, 3, 20_002, "id", {"min.insync.replicas": "1"})
    settings = node_settings(2, [Address(1, 2)] * 3, {"min.insync.replicas": "1"})
    only_here = {"CLUSTER_ID", "KAFKA_HEAP_OPTS", "KAFKA_ADVERTISED_LISTENERS", "KAFKA_INTER_BROKER_LISTENER_NAME"}
    assert variables.keys() - only_here == {variable(name) for name in settings}
    assert variables["CLUSTER_ID"] == "id"
    assert variables["KAFKA_NODE_ID"] == "2"
    assert variables["KAFKA_CONTROLLER_QUORUM_VOTERS"] == "1@node-1:9093,2@node-2:9093,3@node-3:9093"
    assert variables["KAFKA_ADVERTISED_LISTENERS"] == "INTERNAL://node-2:19092,PLAINTEXT://127.0.0.1:20002"
    assert variables["KAFKA_MIN_INSYNC_REPLICAS"] == "1"


@pytest.mark.parametrize(("nodes", "copies", "in_sync"), [(1, "1", "1"), (3, "3", "2")])
def test_all_nodes_hold_everything_and_the_majority_acknowledges(nodes: int, copies: str, in_sync: str) -> None:
    settings = common_settings(nodes)
    assert {value for name, value in settings.items() if name.endswith("replication.factor")} == {copies}
    assert {value for name, value in settings.items() if name.endswith(("min.isr", "insync.replicas"))} == {in_sync}
