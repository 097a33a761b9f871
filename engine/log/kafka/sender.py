"""The sender: hands records to the Kafka producer, and its reports back to the event loop."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from engine.errors import ClosedError, LogError
from engine.limits import KAFKA_FULL_SECONDS, KAFKA_GATHER_MS, RECORD_BYTES_MAX
from engine.log.errors import RecordTooLargeError
from engine.log.kafka.failures import from_exception, from_kafka
from engine.log.kafka.properties import CLIENT_LOGGER, Property
from engine.log.kafka.trouble import Trouble
from engine.log.kafka.way import Parcel, Reported, Way
from engine.log.place import check_record
from engine.log.port import Record

_LOGGER = logging.getLogger("runline.kafka")

_REPORT_SECONDS = 0.01
"""How late a failed send may be noticed while nobody waits for an append."""
_IDLE_SECONDS = 0.5
"""How often the producer's own news are looked at while nothing is on its way, and for brokers that were away."""
_ASK_SECONDS = 0.2
"""How long reports may wait for a sign of life of brokers that were away."""

Failed = Callable[[LogError], None]


class Sender:
    """Sends records; one thread serves the producers' reports.

    Reading a record back is its acknowledgement, so a report that nobody waits for should wake nobody: appends, whose
    reports are awaited, have a producer of their own, and the others' failures are looked for now and then. Patient
    records have one too, which lets them gather for `KAFKA_GATHER_MS`: a lone record would lose its time that way, and
    many cost brokers and readers much less together.

    Args:
        properties: The producers'.
        trouble: Hears of every error that concerns no single record, and, while there is some, of answers.
        topic: The topic on Kafka that brokers are asked about then.
    """

    def __init__(self, properties: Mapping[str, Property], trouble: Trouble, topic: str) -> None:
        self._properties = {**properties, "error_cb": trouble.notice}
        self._trouble = trouble
        self._topic = topic
        self._asked = 0.0
        self._loop = asyncio.get_running_loop()
        self._appends = Way(self._make(reported=True))
        self._sends = Way(self._make(reported=False))
        self._patient: Way | None = None
        self._retired: list[Producer] = []
        self._full: asyncio.TimerHandle | None = None
        self._awaited = 0
        self._idle = False
        self._wake = threading.Event()
        self._stopping = False
        self._broken = False
        self._thread = threading.Thread(target=self._run, name="runline kafka reports", daemon=True)
        self._thread.start()

    def append(self, topic: str, partition: int, record: Record) -> asyncio.Future[int]:
        """Send a record; the future gives its offset once it is acknowledged, or the error."""
        future: asyncio.Future[int] = self._loop.create_future()
        if self._broken:
            self._renew()
        reported, refused = partial(self._appended, future), partial(self._refused, future)
        self._produce(self._appends, topic, partition, record, reported, refused, lambda: not future.done())
        self._awaited += 1
        self._wake.set()
        return future

    def erase(self, topic: str, partition: int, key: str) -> asyncio.Future[int]:
        """Send a record without a value, by which compaction drops the key; the future is as that of `append`."""
        future: asyncio.Future[int] = self._loop.create_future()
        if self._broken:
            self._renew()
        if self._stopping:
            raise ClosedError("the log was closed.")
        try:
            self._appends.producer.produce(topic, None, key, partition, on_delivery=partial(self._appended, future))
        except (BufferError, KafkaException) as exception:
            raise LogError(f"expected to erase {key[:80]!r} from {topic}, but {exception}.") from exception
        self._awaited += 1
        self._wake.set()
        return future

    def send(self, topic: str, partition: int, record: Record, failed: Failed, *, patient: bool) -> None:
        """Send a record; `failed` is called in the event loop when its outcome is unknown or it was not written.

        While the producer takes no more, records wait in the order of the calls.
        """
        if self._broken:
            self._renew()
        way = self._sends
        if patient:
            if self._patient is None:
                self._patient = Way(self._make(reported=False, gathers=True))
            way = self._patient
        self._produce(way, topic, partition, record, partial(self._failed, failed), failed, _always)
        if self._idle:
            self._wake.set()

    def close(self) -> None:
        """Wait, bounded, until everything sent is acknowledged or has failed. Blocks; nothing may be sent any more."""
        self._stopping = True
        self._wake.set()
        self._thread.join()
        self._tell(self._give_up)
        for producer in (*self._living(), *self._retired):
            producer.flush(_CLOSE_SECONDS)
            producer.purge()
            producer.flush(1)

    def _make(self, *, reported: bool, gathers: bool = False) -> Producer:
        properties = {**self._properties, "delivery.report.only.error": not reported}
        if gathers and not properties["linger.ms"]:
            properties["linger.ms"] = KAFKA_GATHER_MS
        return Producer(properties, logger=CLIENT_LOGGER)

    def _living(self) -> list[Producer]:
        return [way.producer for way in self._ways()]

    def _ways(self) -> list[Way]:
        return [way for way in (self._appends, self._sends, self._patient) if way is not None]

    def _produce(  # noqa: PLR0917 - called in two places, with what was put together for it
        self,
        way: Way,
        topic: str,
        partition: int,
        record: Record,
        reported: Reported,
        refused: Failed,
        wanted: Callable[[], bool],
    ) -> None:
        if self._stopping:
            raise ClosedError("the log was closed.")
        key, value, headers = record
        if not all(map(str.isascii, headers)):
            # The client does not live through a name that cannot be encoded.
            check_record(topic, record)
        try:
            # As bytes: the client would cut a text at a zero.
            encoded: list[tuple[str, str | bytes | None]] = [(name, text.encode()) for name, text in headers.items()]
        except UnicodeEncodeError:
            check_record(topic, record)
            raise
        # A character has at most four bytes; only what may be too large is counted exactly.
        characters = len(key) + sum(map(len, headers)) + sum(map(len, headers.values()))
        if len(value) + 4 * characters > RECORD_BYTES_MAX:
            check_record(topic, record)
        try:
            sent = way.send(Parcel(topic, partition, key, value, encoded, reported, refused, wanted))
        except UnicodeEncodeError:
            check_record(topic, record)
            raise
        except KafkaException as exception:
            error = self._error(topic, exception)
            raise error from (None if isinstance(error, RecordTooLargeError) else exception)
        if not sent and self._full is None:
            _LOGGER.warning("The queue of records on their way to the brokers is full; waiting until it takes more")
            self._full = self._loop.call_later(KAFKA_FULL_SECONDS, self._go_on)

    def _error(self, topic: str, exception: KafkaException) -> LogError:
        error = from_exception(exception, f"append a record to {topic}")
        if not isinstance(error, RecordTooLargeError):
            self._broken = self._broken or _is_fatal(exception)
        return error

    def _renew(self) -> None:
        """After a fatal error a producer takes nothing any more: begin again with others."""
        _LOGGER.warning("A Kafka producer failed for good; going on with a new one")
        self._retired += self._living()
        for way in self._ways():
            # What waits was not sent by anybody, so it goes the new way, in its order.
            way.producer = self._make(reported=way is self._appends, gathers=way is self._patient)
        self._broken = False

    # In the thread of reports.

    def _run(self) -> None:
        while not self._stopping:
            if self._awaited:
                self._appends.producer.poll(_REPORT_SECONDS)
            else:
                self._idle = not any(map(len, self._living()))
                self._wake.wait(_IDLE_SECONDS if self._idle else _REPORT_SECONDS)
                self._idle = False
                self._wake.clear()
            for producer in (*self._living(), *self._retired):
                producer.poll(0)
            if self._trouble.questioned and time.monotonic() > self._asked + _IDLE_SECONDS:
                self._ask()

    def _ask(self) -> None:
        """Ask the brokers for a sign of life: other clients may have nothing to do by which they would see one."""
        self._asked = time.monotonic()
        try:
            self._appends.producer.list_topics(self._topic, timeout=_ASK_SECONDS)
        except KafkaException:
            self._trouble.unanswered()
        else:
            self._trouble.answered(self._asked)

    def _appended(self, future: asyncio.Future[int], error: KafkaError | None, message: Message) -> None:
        self._tell(self._settle, future, error, message.offset(), message.topic())

    def _failed(self, failed: Failed, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._note(error)
            self._tell(failed, from_kafka(error, f"append a record to {message.topic()}"))

    def _note(self, error: KafkaError) -> None:
        self._broken = self._broken or error.fatal()

    def _tell(self, *call: object) -> None:
        # The loop may be gone while the thread still works; then nobody is left to be told.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(*call)  # type: ignore[arg-type]  # a function and its arguments

    # In the event loop.

    def _go_on(self) -> None:
        """Hand over what waits, until nothing does any more."""
        self._full = None
        if self._broken and not self._stopping:
            self._renew()
        for way in self._ways():
            way.go_on(self._not_taken)
        if any(way.waiting for way in self._ways()) and not self._stopping:
            self._full = self._loop.call_later(KAFKA_FULL_SECONDS, self._go_on)
            # The client counts a record until its report was looked at.
            self._wake.set()

    def _not_taken(self, parcel: Parcel, exception: Exception) -> None:
        if isinstance(exception, KafkaException):
            parcel.refused(self._error(parcel.topic, exception))
        else:
            parcel.refused(LogError(f"expected to append a record to {parcel.topic}, but {exception}."))

    def _give_up(self) -> None:
        """The log was closed while records waited: nobody sends them any more."""
        if self._full is not None:
            self._full.cancel()
        for way in self._ways():
            while way.waiting:
                parcel = way.waiting.popleft()
                parcel.refused(LogError(f"the log was closed before a record was sent to {parcel.topic}."))

    def _refused(self, future: asyncio.Future[int], error: LogError) -> None:
        self._awaited -= 1
        if not future.done():
            future.set_exception(error)

    def _settle(
        self, future: asyncio.Future[int], error: KafkaError | None, offset: int | None, topic: str | None
    ) -> None:
        self._awaited -= 1
        if error is not None:
            self._note(error)
        if future.done():
            return
        if error is not None:
            future.set_exception(from_kafka(error, f"append a record to {topic}"))
        elif offset is None:
            future.set_exception(LogError(f"the outcome of an append to {topic} is unknown."))
        else:
            future.set_result(offset)


_CLOSE_SECONDS = 5.0
"""How long closing waits for what is on its way."""


def _always() -> bool:
    return True


def _is_fatal(exception: KafkaException) -> bool:
    cause = exception.args[0] if exception.args else None
    return isinstance(cause, KafkaError) and cause.fatal()
