"""Marks: how far a group has come, as its committed offsets with a text beside each. All of this blocks."""

from collections.abc import Iterable, Mapping

from confluent_kafka import Consumer, KafkaException, TopicPartition

from engine.limits import KAFKA_ANSWER_SECONDS_MAX
from engine.log.kafka.failures import from_exception, from_kafka
from engine.log.kafka.properties import CLIENT_LOGGER, Property
from engine.log.port import Mark


def read_marks(properties: Mapping[str, Property], topic: str, partitions: Iterable[int]) -> dict[int, Mark]:
    """Return the marks of a group, by a client that is no member of it.

    Raises:
        LogUnreachableError: No broker answers.
        LogError: They refuse.
    """
    consumer = Consumer(dict(properties), logger=CLIENT_LOGGER)
    try:
        return committed_marks(consumer, topic, partitions)
    finally:
        consumer.close()


def committed_marks(consumer: Consumer, topic: str, partitions: Iterable[int]) -> dict[int, Mark]:
    """Return the marks of a consumer's group.

    Raises:
        LogUnreachableError: No broker answers.
        LogError: They refuse.
    """
    doing = f"read how far the group has come in {topic}"
    places = [TopicPartition(topic, number) for number in partitions]
    try:
        found = consumer.committed(places, timeout=KAFKA_ANSWER_SECONDS_MAX)
    except KafkaException as exception:
        raise from_exception(exception, doing) from exception
    for place in found:
        if place.error is not None:
            raise from_kafka(place.error, doing)
    return {place.partition: Mark(place.offset, place.metadata or "") for place in found if place.offset >= 0}


def commit_mark(consumer: Consumer, topic: str, partition: int, mark: Mark) -> None:
    """Record a mark as a member of the group.

    Raises:
        LogUnreachableError: No broker answers.
        LogError: They refuse: the group may have given the partition to another member.
    """
    doing = f"record how far the group has come in {topic}/{partition}"
    try:
        done = consumer.commit(offsets=[TopicPartition(topic, partition, mark.offset, mark.text)], asynchronous=False)
    except KafkaException as exception:
        raise from_exception(exception, doing) from exception
    for place in done or ():
        if place.error is not None:
            raise from_kafka(place.error, doing)
