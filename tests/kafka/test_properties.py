"""The properties that we set are in force: the client library is asked for what it works with."""

import logging
from collections.abc import Callable, Mapping

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from engine.errors import LogError
from engine.log.kafka import KafkaLog, parse_location
from engine.log.kafka.properties import ADMIN, FETCHER, FOLLOWER, MEMBER, PRODUCER, Property, merged
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
    "name", ["enable.auto.commit", "enable.auto.offset.store", "auto.offset.reset", "enable.idempotence"]
)
async def test_a_property_that_would_break_a_promise_is_refused_by_name(name: str) -> None:
    with pytest.raises(LogError, match=f"but found {name}"):
        await KafkaLog.open(parse_location("kafka://127.0.0.1:1/x"), {name: "false"})


@pytest.mark.parametrize("given", [{"no.such.property": "1"}, {"session.timeout.ms": "soon"}])
async def test_a_property_that_the_client_does_not_know_is_an_error_with_its_name(
    broker: str, given: dict[str, str]
) -> None:
    location = await new_location(broker)
    with pytest.raises(LogError, match=next(iter(given))):
        await KafkaLog.open(location, given)
