"""The properties that we set are in force: the client library is asked for what it works with."""

import logging
from collections.abc import Callable, Mapping

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from engine.errors import LogError
from engine.log.kafka import KafkaLog, parse_location
from engine.log.kafka.admin import make_admin
from engine.log.kafka.properties import ADMIN, FETCHER, FOLLOWER, MASK, MEMBER, PRODUCER, Property, masked, merged
from engine.log.port import EVENTS, Record
from tests.support.logs import new_location

_LINE = " = "
NAMES = {
    "acks": "request.required.acks",
    "bootstrap.servers": "metadata.broker.list",
    "max.in.flight": "max.in.flight.requests.per.connection",
    "linger.ms": "queue.buffering.max.ms",
}
"""What the library calls some properties itself."""
WORDS = {"acks": "-1"}


class Said(logging.Handler):
    """Keeps what the library says of its configuration, or of the default configuration of topics."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.properties: dict[str, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        _, _, text = record.getMessage().partition("]:   ")
        name, separator, value = text.partition(_LINE)
        if separator:
            self.properties[name.strip()] = value.strip()


def in_force(make: Callable[..., object], properties: Mapping[str, Property]) -> dict[str, str]:
    """Return what a client that is made of these properties works with."""
    logger = logging.getLogger(f"{__name__}.{id(properties)}")
    said = Said()
    logger.addHandler(said)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    client = make({**properties, "debug": "conf"}, logger=logger)
    if isinstance(client, Consumer):
        client.poll(0.1)
        client.close()
    elif isinstance(client, Producer | AdminClient):
        client.poll(0.1)
    return said.properties


def text(value: Property) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize(
    ("make", "ours"),
    [(Producer, PRODUCER), (Consumer, FOLLOWER), (Consumer, FETCHER), (Consumer, MEMBER), (AdminClient, ADMIN)],
    ids=["producer", "follower", "fetcher", "member", "admin"],
)
def test_every_property_we_set_is_in_force(make: Callable[..., object], ours: Mapping[str, Property]) -> None:
    properties = {"group.id": "test", **merged(ours, "127.0.0.1:1", {})}
    if make is not Consumer:
        del properties["group.id"]
    found = in_force(make, properties)
    for name, value in properties.items():
        expected = WORDS.get(name, text(value))
        assert found.get(NAMES.get(name, name)) == expected, f"{name}: expected {expected}"


def test_properties_of_the_user_win_and_go_to_the_clients_they_are_for() -> None:
    given = {"session.timeout.ms": "12345", "linger.ms": "7", "security.protocol": "ssl", "client.id": "mine"}
    member = in_force(Consumer, {**merged(MEMBER, "127.0.0.1:1", given), "group.id": "test"})
    assert (member["session.timeout.ms"], member["security.protocol"], member["client.id"]) == ("12345", "ssl", "mine")
    producer = in_force(Producer, merged(PRODUCER, "127.0.0.1:1", given))
    assert (producer[NAMES["linger.ms"]], producer["security.protocol"], producer["client.id"]) == ("7", "ssl", "mine")
    assert "linger.ms" not in merged(MEMBER, "127.0.0.1:1", given)
    assert "session.timeout.ms" not in merged(PRODUCER, "127.0.0.1:1", given)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("bootstrap.servers", "127.0.0.1:2", "the location gives it"),
        ("metadata.broker.list", "127.0.0.1:2", "the location gives it"),
        ("group.id", "mine", "the location gives it"),
        ("enable.auto.commit", "false", "what is done is for the engine to say"),
        ("auto.commit.enable", "true", "what is done is for the engine to say"),
        ("enable.auto.offset.store", "false", "what is done is for the engine to say"),
        ("auto.offset.reset", "error", "where reading begins is for the log to say"),
        ("enable.partition.eof", "true", "where reading begins is for the log to say"),
        ("enable.idempotence", "true", "a record counts once all replicas"),
        ("transactional.id", "mine", "the log writes no transactions"),
        ("delivery.report.only.error", "true", "the log says itself of which records it must hear"),
        ("topic.blacklist", ".*", "the log needs its topics"),
        ("default.topic.config", "{}", "properties of topics stand beside the others"),
        ("acks", "1", "other than all: a record counts once all replicas"),
        ("request.required.acks", "0", "other than all: a record counts once all replicas"),
        ("queuing.strategy", "lifo", "other than fifo: a record counts once all replicas in sync have it, once and in"),
        ("isolation.level", "read_committed", "other than read_uncommitted: the log writes no transactions"),
        ("partition.assignment.strategy", "range", "other than cooperative-sticky: partitions move between executors"),
        ("group.protocol", "consumer", "other than classic: partitions move between executors"),
        ("group.protocol.type", "connect", "other than consumer: partitions move between executors"),
        ("allow.auto.create.topics", "true", "other than false: a topic that a typing error made"),
        *(
            (name, "print", "it is no text but a function")
            for name in (
                *("error_cb", "stats_cb", "oauth_cb", "throttle_cb", "log_cb", "dr_cb", "dr_msg_cb", "rebalance_cb"),
                *("oauthbearer_token_refresh_cb", "partitioner_cb", "logger", "on_commit", "on_delivery", "opaque"),
            )
        ),
    ],
)
async def test_a_property_that_would_break_a_promise_is_refused_by_name_with_the_reason(
    name: str, value: str, reason: str
) -> None:
    location = parse_location("kafka://127.0.0.1:1/x")
    with pytest.raises(LogError) as caught:
        await KafkaLog.open(location, {name: value})
    assert f"but found {name} ({reason}" in str(caught.value)
    with pytest.raises(LogError) as caught:
        make_admin(location, {name: value})
    assert f"but found {name} ({reason}" in str(caught.value)


@pytest.mark.parametrize(
    "given", [{"client.id": "\udcff"}, {"\udcff": "1"}, {"client.id": "a\0b"}, {"client.id\0": "a"}]
)
async def test_what_the_client_library_would_die_of_or_cut_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(LogError, match=r"\(it is no Unicode text, or has a zero character\)") as caught:
        await KafkaLog.open(parse_location("kafka://127.0.0.1:1/x"), given)
    assert str(caught.value).isprintable()


async def test_properties_that_say_what_the_log_says_itself_are_taken(broker: str) -> None:
    given = {
        "acks": "-1",
        "request.required.acks": "all",
        "queuing.strategy": "fifo",
        "isolation.level": "READ_UNCOMMITTED",
        "partition.assignment.strategy": "cooperative-sticky",
        "group.protocol": "Classic",
        "group.protocol.type": "consumer",
        "allow.auto.create.topics": "false",
    }
    log = await KafkaLog.open(await new_location(broker), given)
    assert await log.append(EVENTS, 0, Record("run", b"1", {})) == 0
    await log.close()


def test_what_is_secret_or_may_be_is_not_shown() -> None:
    shown = {
        "session.timeout.ms": "10000",
        "security.protocol": "SASL_SSL",
        "sasl.username": "orders",
        "ssl.ca.location": "/ca.pem",
        "plugin.library.paths": "nowhere",
        "acks": "all",
    }
    hidden = [
        "sasl.password",
        "ssl.key.password",
        "ssl.keystore.password",
        "ssl.key.pem",
        "sasl.oauthbearer.config",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.client.credentials.client.secret",
        "sasl.oauthbearer.assertion.private.key.pem",
        "sasl.oauthbearer.assertion.private.key.passphrase",
        "sasl.jaas.config",
        "SASL.Password",
        # The client knows none of these: who mistyped a name must not find the password on the screen.
        "sasl.pasword",
        "sasl_pass",
        "no.such.property",
        "error_cb",
        "\ud800",
        "",
    ]
    assert masked({**shown, **dict.fromkeys(hidden, "hunter2")}) == {**shown, **dict.fromkeys(hidden, MASK)}


@pytest.mark.parametrize(
    "text",
    [
        "kafka://user:hunter2@broker:9092/x",
        "kafka://user:hunter2@broker:9092,user:hunter2@other:9092",
        "kafka://hunter2@broker:9092/x",
        "kafka://user:a,hunter2@broker:9092/x",
        "kafka://user:a/hunter2@broker:9092/x",
        "kafka://user:a@hunter2@broker:9092/x",
        "kafka://user:hunter2@broker",
    ],
)
def test_a_password_in_a_location_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(LogError, match=r"found 'kafka://\*{8}@(broker|other).*sasl\.password") as caught:
        parse_location(text)
    assert "hunter2" not in str(caught.value)
    assert "user:" not in str(caught.value)


@pytest.mark.parametrize("given", [{"no.such.property": "1"}, {"session.timeout.ms": "soon"}])
async def test_a_property_that_the_client_does_not_know_is_an_error_with_its_name(
    broker: str, given: dict[str, str]
) -> None:
    location = await new_location(broker)
    with pytest.raises(LogError, match=next(iter(given))):
        await KafkaLog.open(location, given)
