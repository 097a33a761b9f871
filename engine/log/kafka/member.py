"""A member of a consumer group: which partitions are this process's, by Kafka's own protocol of groups."""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import CancelledError, Future, wait
from contextlib import suppress
from typing import TypeVar

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from engine import crash_points
from engine.crash_points import CrashPoint
from engine.errors import ClosedError, LogError, RunlineError
from engine.limits import FENCE_RETRY_SECONDS_MAX, FENCE_RETRY_SECONDS_MIN, KAFKA_REVOKE_SECONDS_MAX
from engine.log.errors import LogUnreachableError, MemberReplacedError
from engine.log.kafka.failures import from_exception, from_kafka, is_fatal, is_replaced
from engine.log.kafka.marks import commit_mark, committed_marks
from engine.log.kafka.properties import CLIENT_LOGGER, Property
from engine.log.port import Mark, Owner

R = TypeVar("R")
_Hear = Callable[[Consumer, list[TopicPartition]], None]

_LOGGER = logging.getLogger("runline.kafka")

_ORDER_SECONDS = 0.1
"""How long an order may wait: the consumer is the thread's alone, and the thread is inside `poll`."""
_MARK_SECONDS = 0.01
"""How long a mark may wait while the thread waits for the owner."""
_COMMIT_SECONDS = 5.0
"""How often the group is told what is decided, for people who watch its lag."""

_NAMES_HINT = "Give each process a `group.instance.id` of its own, or none, and start this one again."


class KafkaMember:
    """Takes part in a group on one topic, on a thread of its own; its consumer reads no records.

    When its client fails for good, the partitions are lost, and it joins again with a new one; except when another
    process has taken its `group.instance.id`: two of that name would shut each other out for ever.

    Args:
        topic: The topic on Kafka whose partitions the group shares out.
        properties: The consumer's, with the group's name.
        owner: Hears which partitions are its own.
        noticed: Called in the member's thread with every error that concerns no partition.

    Attributes:
        trouble: What keeps it from taking part in the group, or an empty text.
    """

    def __init__(
        self,
        topic: str,
        properties: Mapping[str, Property],
        owner: Owner,
        noticed: Callable[[KafkaError], None],
    ) -> None:
        self.trouble = ""
        self._topic = topic
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._properties: dict[str, object] = {**properties, "error_cb": noticed}
        self._shut_out: asyncio.Future[LogError] = self._loop.create_future()
        self._delay = FENCE_RETRY_SECONDS_MIN
        self._consumer = self._joined()
        self._orders: deque[Callable[[], None]] = deque()
        self._marks: deque[Callable[[], None]] = deque()
        # The owner may still be letting go of a partition, late, when the group gives it back.
        self._turn = asyncio.Lock()
        self._held: set[int] = set()
        self._failure: Exception | None = None
        self._stopping = False
        self._replaced = False
        self._left = threading.Event()
        self._committing = self._loop.create_task(self._commit_now_and_then())
        self._thread = threading.Thread(target=self._run, name="runline kafka member", daemon=True)
        self._thread.start()

    async def confirm(self, partition: int) -> bool:
        """Ask the group whether the partition is still this member's, by committing what is decided."""
        if not self._thread.is_alive():
            return False
        answer: asyncio.Future[bool] = self._loop.create_future()
        offset = self._owner.decided().get(partition, 0)
        self._orders.append(lambda: self._confirm(partition, offset, answer))
        return await answer

    async def keep(self, partition: int, mark: Mark) -> None:
        """Record how far the group has come in a partition; whoever lets go of one may still do so.

        Raises:
            LogError: It was not recorded.
            ClosedError: The member has left.
        """
        await self._ordered(lambda: self._keep(partition, mark))

    async def kept(self, partition: int) -> Mark | None:
        """Return what was recorded last, or None when nothing was.

        Raises:
            LogError: No broker answers.
            ClosedError: The member has left.
        """
        return await self._ordered(lambda: self._kept(partition))

    async def shut_out(self) -> LogError:
        """Wait until another process has this one's name in the group, and return the error that says so."""
        return await asyncio.shield(self._shut_out)

    async def leave(self) -> None:
        """Leave the group; the owner is told to let go of its partitions first."""
        if not self._stopping:
            self._stopping = True
            self._left.set()
            self._committing.cancel()
        await asyncio.to_thread(self._thread.join)

    async def _in_turn(self, hear: Callable[[list[int]], Awaitable[None] | None], partitions: list[int]) -> None:
        """Let the owner hear of partitions when it has dealt with what it heard before."""
        async with self._turn:
            try:
                if (dealing := hear(partitions)) is not None:
                    await dealing
            except Exception:
                # A mistake of ours: it must be heard of, and the thread must go on with the group.
                _LOGGER.exception("The owner of partitions %s of %s cannot deal with them", partitions, self._topic)

    async def _commit_now_and_then(self) -> None:
        told: dict[int, int] = {}
        while True:
            await asyncio.sleep(_COMMIT_SECONDS)
            if not self._thread.is_alive():
                return
            decided = {number: offset for number, offset in self._owner.decided().items() if told.get(number) != offset}
            if decided:
                told |= decided
                offsets = [TopicPartition(self._topic, number, offset) for number, offset in decided.items()]
                self._orders.append(lambda offsets=offsets: self._commit(offsets))  # type: ignore[misc]  # bound now, not later

    async def _ordered(self, work: Callable[[], R]) -> R:
        """Do something in the member's thread, also while it waits for the owner to let go."""
        answer: asyncio.Future[R] = self._loop.create_future()

        def order() -> None:
            try:
                result = work()
            except (LogError, ClosedError) as error:
                self._tell(_fail, answer, error)
            except RuntimeError:
                self._tell(_fail, answer, self._gone())
            else:
                self._tell(_answer, answer, result)

        if not self._thread.is_alive():
            raise ClosedError(f"the member of the group of {self._topic} has left.")
        self._marks.append(order)
        return await answer

    def _gone(self) -> RunlineError:
        """Return the error for who asks for something while there is no client to do it."""
        if self._stopping or self._replaced:
            return ClosedError(f"the member of the group of {self._topic} has left.")
        return LogError(f"expected to be a member of the group of {self._topic}, but this process joins it again.")

    # In the member's thread.

    def _joined(self) -> Consumer:
        consumer = Consumer(self._properties, logger=CLIENT_LOGGER)
        consumer.subscribe(
            [self._topic],
            on_assign=self._kept_in(self._assign),
            on_revoke=self._kept_in(self._revoke),
            on_lost=self._kept_in(self._lose),
        )
        return consumer

    def _run(self) -> None:
        again = self._live()
        while again and not self._stopping:
            self._wait_to_join()
            try:
                self._consumer = self._joined()
            except Exception as error:  # noqa: BLE001 - whatever it is, people must hear of it
                self._end(error)
            else:
                again = self._live()
        self._carry_out()

    def _live(self) -> bool:
        """Take part until told to leave, or until that cannot go on; return whether to join again."""
        ended = again = False
        for work in (self._take_part, self._consumer.close):
            try:
                work()
            except Exception as error:  # noqa: BLE001 - whatever it is, the group and people must hear of it
                # What the first one led to is no news.
                again = again if ended else self._end(error)
                ended = True
        self._failure = None
        if self._held:
            # The client left without a word of them.
            self._begin(self._in_turn(self._owner.lost, sorted(self._held)))
            self._held.clear()
        self._carry_out()
        return again

    def _wait_to_join(self) -> None:
        """Wait, longer each time, and answer meanwhile whoever takes this for a member."""
        until, self._delay = time.monotonic() + self._delay, min(2 * self._delay, FENCE_RETRY_SECONDS_MAX)
        while (left := until - time.monotonic()) > 0 and not self._left.wait(min(left, _ORDER_SECONDS)):
            self._carry_out()

    def _carry_out(self) -> None:
        while self._orders:
            self._orders.popleft()()
        self._carry_out_marks()

    def _take_part(self) -> None:
        while not self._stopping:
            self._go_on()

    def _go_on(self) -> None:
        self._carry_out()
        message = self._consumer.poll(_ORDER_SECONDS)
        if self._failure is not None:
            raise self._failure
        if message is not None and (error := message.error()) is not None:
            if is_fatal(error):
                raise KafkaException(error)
            failure = from_kafka(error, f"take part in the group of {self._topic}")
            level = logging.WARNING if isinstance(failure, LogUnreachableError) else logging.ERROR
            _LOGGER.log(level, "%s", failure)

    def _end(self, error: Exception) -> bool:
        """Say why this is no member any more; return whether it may become one again."""
        doing = f"take part in the group of {self._topic}"
        unexpected = None if isinstance(error, KafkaException) else error
        if isinstance(error, KafkaException):
            failure = from_exception(error, doing)
        else:
            failure = LogError(f"expected to {doing}, but {type(error).__name__}: {error}.")
        self._replaced = is_replaced(error)
        if self._replaced:
            failure = MemberReplacedError(failure.args[0], hint=_NAMES_HINT)
            self._tell(_answer, self._shut_out, failure)
        again = not (self._replaced or self._stopping)
        then = f"; it joins again in {self._delay:g} s" if again else ""
        self.trouble = str(failure)
        _LOGGER.error("This process is no member any more%s: %s", then, failure, exc_info=unexpected)
        return again

    def _carry_out_marks(self) -> None:
        while self._marks:
            self._marks.popleft()()

    def _kept_in(self, hear: _Hear) -> _Hear:
        """Keep failures from the client, out of which they would come as nothing that can be caught."""

        def heard(consumer: Consumer, partitions: list[TopicPartition]) -> None:
            try:
                hear(consumer, partitions)
            except Exception as error:  # noqa: BLE001 - it is raised behind the client's call
                self._failure = error

        return heard

    def _assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # The group only says whose a partition is. What is read, and from where, is the executor's to know.
        places = [TopicPartition(place.topic, place.partition, OFFSET_END) for place in partitions]
        consumer.incremental_assign(places)
        consumer.pause(places)
        if self.trouble:
            _LOGGER.warning("This process is a member of the group of %s again", self._topic)
        self.trouble, self._delay = "", FENCE_RETRY_SECONDS_MIN
        self._held.update(_numbers(partitions))
        self._begin(self._in_turn(self._owner.assigned, _numbers(partitions)))

    def _revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._held.difference_update(_numbers(partitions))
        self._wait(self._in_turn(self._owner.revoked, _numbers(partitions)))
        consumer.incremental_unassign(partitions)

    def _lose(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._held.difference_update(_numbers(partitions))
        _LOGGER.warning("The group gave partitions %s to others: this process was not heard of", _numbers(partitions))
        self._begin(self._in_turn(self._owner.lost, _numbers(partitions)))
        consumer.incremental_unassign(partitions)

    def _commit(self, offsets: list[TopicPartition]) -> None:
        # For people who watch; the log itself says what is decided.
        crash_points.reached(CrashPoint.OFFSETS_BEFORE)
        # The member may have left meanwhile.
        with suppress(KafkaException, RuntimeError):
            self._consumer.commit(offsets=offsets, asynchronous=True)
        crash_points.reached(CrashPoint.OFFSETS_AFTER)

    def _keep(self, partition: int, mark: Mark) -> None:
        # The brokers ask only whether the member is one of the group, not whose the partition is.
        if not self._owns(partition):
            raise LogError(f"expected {self._topic}/{partition} to be this member's, but the group gave it to another.")
        commit_mark(self._consumer, self._topic, partition, mark)

    def _kept(self, partition: int) -> Mark | None:
        if self._stopping:
            # A client that is leaving its group waits for such an answer until its time is up.
            raise ClosedError(f"the member of the group of {self._topic} is leaving.")
        return committed_marks(self._consumer, self._topic, [partition]).get(partition)

    def _owns(self, partition: int) -> bool:
        return any(place.partition == partition for place in self._consumer.assignment())

    def _confirm(self, partition: int, offset: int, answer: asyncio.Future[bool]) -> None:
        try:
            if mine := self._owns(partition):
                self._consumer.commit(offsets=[TopicPartition(self._topic, partition, offset)], asynchronous=False)
        except KafkaException as exception:
            _LOGGER.warning("%s", from_exception(exception, f"keep partition {partition}"))
            mine = False
        except RuntimeError:
            mine = False  # the member has left
        self._tell(_answer, answer, mine)

    def _wait(self, work: Coroutine[None, None, None]) -> None:
        """Wait, bounded, until the owner has let go: if it does not, the others' fences see to it."""
        until = time.monotonic() + KAFKA_REVOKE_SECONDS_MAX
        done = self._begin(work)
        if done is None:
            return
        try:
            while not done.done() and time.monotonic() < until:
                # The owner may want to record how far it has come, and waits for that.
                self._carry_out_marks()
                wait([done], _MARK_SECONDS)
            done.result(0)
        except TimeoutError:
            _LOGGER.warning("Gave partitions back before the owner had let go of them in order")
        except CancelledError:
            pass  # the loop ends, and so does the owner

    def _begin(self, work: Coroutine[None, None, None]) -> "Future[None] | None":
        """Let the loop do something; nothing happens when it is gone, as the owner is then."""
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()
            return None

    def _tell(self, *call: object) -> None:
        # The loop may be gone while the thread still works; then nobody is left to be told.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(*call)  # type: ignore[arg-type]  # a function and its arguments


def _numbers(partitions: list[TopicPartition]) -> list[int]:
    return sorted(place.partition for place in partitions)


def _answer(answer: asyncio.Future[R], result: R) -> None:
    if not answer.done():
        answer.set_result(result)


def _fail(answer: asyncio.Future[R], error: RunlineError) -> None:
    if not answer.done():
        answer.set_exception(error)
