"""Questions about the brokers and the groups, for people who look after them. All of these block."""

import time
from collections.abc import Mapping
from typing import Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection, Uuid, libversion, version
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its own list of public names is not complete
    AdminClient,
    ClusterMetadata,
)

from engine.errors import LogError
from engine.limits import KAFKA_ANSWER_SECONDS_MAX
from engine.log.kafka.failures import DENIED, from_exception, from_kafka, is_unreachable
from engine.log.kafka.location import KafkaLocation
from engine.log.kafka.properties import ADMIN, CLIENT_LOGGER, check_properties, merged

_SLICE_SECONDS: Final = 0.5
"""How long to wait for an answer before a look whether the brokers refuse; twice as long every time."""
_REFUSALS: Final = 3
"""Refusals that are no chance."""
_CUT_OFF_SECONDS: Final = 3.0
"""How long connections that are closed as soon as they are made may be those of brokers that are about to come up."""
_CUT_OFFS: Final = 2
"""Times that all brokers were found closed, after which it is the port, not chance."""
_DISCONNECTED: Final = "Disconnected"
"""What the client says of a connection that the other side closed."""
_UNKNOWN_CERTIFICATE: Final = "certificate verify failed"
"""What the client says beside the refusal itself."""
_CUT_OFF: Final = (
    "The connection was closed without a word, as by a port that expects credentials or another `security.protocol`."
)
_NO_ID: Final = str(Uuid(0, 0))
"""What a topic without an id is said to have."""


class Admin(AdminClient):
    """An administrator's client that can say why it got no answer."""

    def __init__(self, location: KafkaLocation, properties: Mapping[str, str]) -> None:
        self._protocol = str(properties.get("security.protocol", "plaintext")).upper()
        self._refusals: list[KafkaError] = []
        self._else_heard: KafkaError | None = None
        self._closings = 0
        self._closing: KafkaError | None = None
        self._cut_off = False
        hearing: dict[str, object] = {**merged(ADMIN, location.brokers, properties), "error_cb": self._hear}
        super().__init__(hearing, logger=CLIENT_LOGGER)  # type: ignore[arg-type]  # callbacks are properties too

    def look(self, topic: str | None, seconds: float) -> ClusterMetadata:
        """Return what the brokers know, of one topic or of all.

        It gives up early once they only ever refuse, or only ever close the connection.

        Args:
            topic: The topic's name on Kafka, or None for all.
            seconds: How long to wait for an answer.

        Raises:
            KafkaException: They do not answer, or refuse.
        """
        begun, slice_seconds = time.monotonic(), _SLICE_SECONDS
        until = begun + seconds
        while True:
            slice_seconds = min(slice_seconds, max(until - time.monotonic(), _SLICE_SECONDS))
            asked = time.monotonic()
            try:
                return self.list_topics(topic, timeout=slice_seconds)
            except KafkaException as exception:
                now = time.monotonic()
                # Whoever is cut off at once would be so again.
                self._cut_off = is_unreachable(exception) and (
                    now < asked + slice_seconds / 2 or self._is_cut_off(now - begun)
                )
                if not is_unreachable(exception) or self._cut_off or now >= until or self._is_refused():
                    raise
            slice_seconds *= 2

    def failure(self, exception: KafkaException, doing: str) -> LogError:
        """Return our error for an exception; who is not let in hears of it beside the answer that does not come."""
        self.poll(0)
        if self._refusals:
            return from_kafka(self._refusals[-1], doing)
        if not is_unreachable(exception):
            return from_exception(exception, doing)
        heard = self._else_heard or self._closing
        said = "" if heard is None else f"The client said last: {heard.str()}."
        if self._cut_off or self._is_closed():
            hint = f"This client speaks {self._protocol}. Is that the `security.protocol` of this port?"
            return from_exception(exception, doing, f"{_CUT_OFF} {said}".rstrip(), hint)
        return from_exception(exception, doing, said)

    def _is_refused(self) -> bool:
        """Return whether the brokers refuse again and again, and all of them do, as far as can be known."""
        self.poll(0)
        return len(self._refusals) >= _REFUSALS and self._else_heard is None

    def _is_cut_off(self, seconds: float) -> bool:
        """Return whether all brokers have closed every connection for so many seconds.

        Brokers that are down refuse connections, and slow ones let them time out: the client says so, and waits.
        """
        self.poll(0)
        return seconds >= _CUT_OFF_SECONDS and self._is_closed()

    def _is_closed(self) -> bool:
        return self._closings >= _CUT_OFFS and self._else_heard is None

    def _hear(self, error: KafkaError) -> None:
        if error.code() in DENIED:
            self._refusals = [*self._refusals, error][-_REFUSALS:]
        elif error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 - the library's public name
            # Of a port that closes what is not encrypted the client says no more than this.
            self._closings += 1
        elif _DISCONNECTED in error.str():
            self._closing = error
        elif _UNKNOWN_CERTIFICATE not in error.str():
            self._else_heard = error


def make_admin(location: KafkaLocation, properties: Mapping[str, str]) -> Admin:
    """Return an administrator's client.

    Raises:
        LogError: A property is none that the client knows or must stay as it is, or its value is wrong.
    """
    check_properties(properties)
    try:
        return Admin(location, properties)
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
        return len(admin.look(location.topic(""), KAFKA_ANSWER_SECONDS_MAX).brokers)
    except KafkaException as exception:
        raise admin.failure(exception, f"reach Kafka at {location.brokers}") from exception


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
        raise admin.failure(exception, f"look at the group {name}") from exception


def find_topic_id(location: KafkaLocation, properties: Mapping[str, str], name: str) -> str:
    """Return the id that the brokers gave a topic when it was made.

    Args:
        location: The brokers and the prefix.
        properties: The user's, for all clients.
        name: The topic's name on Kafka.

    Raises:
        PlaceUnknownError: There is no such topic.
        LogUnreachableError: No broker answers.
        LogError: They refuse, or gave it none.
    """
    admin = make_admin(location, properties)
    doing = f"look at the topic {name}"
    try:
        described = admin.describe_topics(TopicCollection([name]), request_timeout=KAFKA_ANSWER_SECONDS_MAX)
        found = str(described[name].result().topic_id)
    except KafkaException as exception:
        raise admin.failure(exception, doing) from exception
    if found == _NO_ID:
        raise LogError(
            f"expected the topic {name} to have an id, but the brokers gave it none.",
            hint="Kafka gives topics ids from version 2.8 on, once all brokers speak its protocol.",
        )
    return found


def forget_group(location: KafkaLocation, properties: Mapping[str, str], name: str) -> None:
    """Delete a consumer group, and so its committed offsets.

    Args:
        location: The brokers and the prefix.
        properties: The user's, for all clients.
        name: The group's name on Kafka.

    Raises:
        LogUnreachableError: No broker answers.
        LogError: The group has members, or they refuse.
    """
    admin = make_admin(location, properties)
    try:
        admin.delete_consumer_groups([name], request_timeout=KAFKA_ANSWER_SECONDS_MAX)[name].result()
    except KafkaException as exception:
        cause = exception.args[0]
        if isinstance(cause, KafkaError) and cause.code() == KafkaError.NON_EMPTY_GROUP:
            raise LogError(
                f"expected the group {name} to have no members, but somebody is at work.",
                hint="End all its hosts first.",
            ) from exception
        if not (isinstance(cause, KafkaError) and cause.code() == KafkaError.GROUP_ID_NOT_FOUND):
            raise admin.failure(exception, f"forget the group {name}") from exception
