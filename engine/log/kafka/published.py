"""What the published workflows say of the log they were published on."""

import time
from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from engine.limits import KAFKA_ANSWER_SECONDS_MAX
from engine.log.kafka.failures import UNREADABLE, from_exception, from_kafka
from engine.log.kafka.location import KafkaLocation
from engine.log.kafka.messages import log_record
from engine.log.kafka.properties import CLIENT_LOGGER, FETCHER, merged
from engine.log.port import WORKFLOWS


def published_partitions(location: KafkaLocation, properties: Mapping[str, str]) -> int | None:
    """Return how many partitions the log had when workflows were published on it. Blocks.

    No run is older than the first workflow, and every run lives in the partition that this number gives it.

    Returns:
        None when none was published, or only by a version of Runline that did not write it down.

    Raises:
        LogUnreachableError: No broker answers.
        LogError: They refuse.
    """
    topic = location.topic(WORKFLOWS)
    doing = f"read {topic}"
    consumer = Consumer(merged(FETCHER, location.brokers, properties), logger=CLIENT_LOGGER)
    try:
        start, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=KAFKA_ANSWER_SECONDS_MAX)
        if start < end:
            consumer.assign([TopicPartition(topic, 0, start)])
            return _first_number(consumer, doing)
    except KafkaException as exception:
        raise from_exception(exception, doing) from exception
    finally:
        consumer.close()
    return None


def _first_number(consumer: Consumer, doing: str) -> int | None:
    until = time.monotonic() + KAFKA_ANSWER_SECONDS_MAX
    while True:
        message = consumer.poll(max(0.0, until - time.monotonic()))
        error = KafkaError(KafkaError._TIMED_OUT) if message is None else message.error()  # noqa: SLF001 - the library's name for it
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF or error.code() in UNREADABLE:  # noqa: SLF001 - the same
                return None
            if time.monotonic() > until:
                raise from_kafka(error, doing)
            continue
        assert message is not None
        number = log_record(message).headers.get("partitions", "")
        if number.isascii() and number.isdecimal():
            return int(number)
        until = time.monotonic() + KAFKA_ANSWER_SECONDS_MAX
