"""Questions about the brokers and the groups, for people who look after them. All of these block."""

from collections.abc import Mapping

from confluent_kafka import KafkaError, KafkaException, libversion, version
from confluent_kafka.admin import AdminClient

from engine.limits import KAFKA_ANSWER_SECONDS_MAX
from engine.log.kafka.failures import from_exception
from engine.log.kafka.location import KafkaLocation
from engine.log.kafka.properties import ADMIN, CLIENT_LOGGER, merged


def make_admin(location: KafkaLocation, properties: Mapping[str, str]) -> AdminClient:
    """Return an administrator's client.

    Raises:
        LogError: A property is none that the client knows, or its value is wrong.
    """
    try:
        return AdminClient(merged(ADMIN, location.brokers, properties), logger=CLIENT_LOGGER)
    except KafkaException as exception:
        raise from_exception(exception, f"use Kafka at {location.brokers}") from exception


def client_versions() -> str:
    """Return the versions of the client and of the library below it, for people."""
    return f"confluent-kafka {version()}, librdkafka {libversion()[0]}"


def count_brokers(location: KafkaLocation, properties: Mapping[str, str]) -> int:
    """Return how many brokers there are.

    Raises:
        LogUnreachableError: None of those named answers.
        LogError: They refuse.
    """
    admin = make_admin(location, properties)
    try:
        return len(admin.list_topics(location.topic(""), timeout=KAFKA_ANSWER_SECONDS_MAX).brokers)
    except KafkaException as exception:
        raise from_exception(exception, f"reach Kafka at {location.brokers}") from exception


def count_members(location: KafkaLocation, properties: Mapping[str, str], group: str) -> int:
    """Return how many members one of the log's groups has now.

    Args:
        location: The brokers and the prefix.
        properties: The user's, for all clients.
        group: As in `Log.join`.

    Raises:
        LogUnreachableError: No broker answers.
        LogError: They refuse.
    """
    name = location.group(group)
    admin = make_admin(location, properties)
    try:
        described = admin.describe_consumer_groups([name], request_timeout=KAFKA_ANSWER_SECONDS_MAX)
        return len(described[name].result().members)
    except KafkaException as exception:
        cause = exception.args[0]
        if isinstance(cause, KafkaError) and cause.code() == KafkaError.GROUP_ID_NOT_FOUND:
            return 0
        raise from_exception(exception, f"look at the group {name}") from exception
