"""A way to the brokers: a Kafka producer, and the records that wait in order until it takes more."""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from confluent_kafka import KafkaError, Message, Producer

from engine.errors import LogError

Reported = Callable[[KafkaError | None, Message], None]


class Parcel(NamedTuple):
    """A record as a producer takes it.

    Attributes:
        topic: The topic on Kafka.
        partition: Its partition.
        key: The key.
        value: The value.
        headers: The headers, encoded.
        reported: Called in the thread of reports with what became of it.
        refused: Called in the event loop when it had to wait and is not taken at all.
        wanted: Returns whether somebody still wants it to be sent.
    """

    topic: str
    partition: int
    key: str
    value: bytes
    headers: list[tuple[str, str | bytes | None]]
    reported: Reported
    refused: Callable[[LogError], None]
    wanted: Callable[[], bool]


class Way:
    """A producer, and the records that wait until it takes more.

    What waits is held by whoever wants it to be sent anyway, so it is not bounded here.

    Args:
        producer: The producer.
    """

    __slots__ = ("producer", "waiting")

    def __init__(self, producer: Producer) -> None:
        self.producer = producer
        self.waiting: deque[Parcel] = deque()

    def send(self, parcel: Parcel) -> bool:
        """Hand a record to the producer, or let it wait behind others; return whether the producer has it.

        Raises:
            KafkaException: The producer does not take it, now or later.
            UnicodeEncodeError: The key is no text.
        """
        if self.waiting or not self._taken(parcel):
            self.waiting.append(parcel)
            return False
        return True

    def go_on(self, failed: Callable[[Parcel, Exception], None]) -> None:
        """Hand over what waits, as far as the producer takes it; `failed` hears what it does not take at all."""
        while self.waiting:
            parcel = self.waiting[0]
            if not parcel.wanted():
                parcel.refused(LogError(f"nobody waits any more for a record sent to {parcel.topic}."))
            else:
                try:
                    if not self._taken(parcel):
                        return
                except Exception as error:  # noqa: BLE001 - whoever waits for this record has to hear of it
                    failed(parcel, error)
            self.waiting.popleft()

    def _taken(self, parcel: Parcel) -> bool:
        try:
            self.producer.produce(
                parcel.topic, parcel.value, parcel.key, parcel.partition,
                on_delivery=parcel.reported, headers=parcel.headers,
            )  # fmt: skip
        except BufferError:
            return False
        return True
