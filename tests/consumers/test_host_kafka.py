"""Hosts on Kafka: any number in a group share the partitions, whatever happens to them."""

import asyncio
import random
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from consumers.host import GroupDiffersError, Service, ServiceHost, Start, open_progress
from consumers.host.opening import ask_group, read_group, reset_group
from consumers.host.parked import Action, Request
from consumers.host.progress import PartitionProgress, Progress, read_progress
from engine import EngineService
from engine.errors import ClosedError, LogError
from engine.limits import FOLLOW_METADATA_BYTES_MAX
from engine.log.errors import MemberReplacedError
from engine.log.kafka import KafkaLocation, KafkaLog
from engine.log.port import EVENTS, PARKED, Mark, Record, SharingLog
from engine.store.errors import StoreDamagedError
from tests.consumers.test_host import Book, check_complete, play, told, until_parked
from tests.consumers.test_host_kills import begin, busy, check_heard, end, grown, read_lines, size
from tests.support.logs import new_location
from tests.support.workflows import END, chain, code, registry

SECONDS = 60
STORM_SECONDS = 200
PARTITIONS = 3
KILLS = 5


@asynccontextmanager
async def hosting(
    location: KafkaLocation,
    services: Mapping[str, Service],
    *,
    attempts: int = 5,
    adopt: bool = False,
    properties: Mapping[str, str] | None = None,
) -> AsyncIterator[ServiceHost]:
    """Follow as a process of its own would: with a log of its own."""
    log = await KafkaLog.open(location, properties)
    host = ServiceHost(
        log, services, open_progress(log, "g"), start=Start.beginning(), attempts=attempts, adopt=adopt,
        retry_seconds=0.01,
    )  # fmt: skip
    try:
        async with asyncio.timeout(SECONDS), host:
            yield host
    finally:
        await log.close()


async def follows(host: ServiceHost, partitions: int) -> None:
    """Wait until a host has so many partitions."""
    while len({lag.partition for lag in await host.lag()}) != partitions:  # noqa: ASYNC110 - the group decides
        await asyncio.sleep(0.01)


@pytest.fixture
async def location(broker: str) -> KafkaLocation:
    return await new_location(broker, PARTITIONS)


async def test_a_host_hears_everything_and_goes_on_where_the_one_before_left_off(location: KafkaLocation) -> None:
    log = await KafkaLog.open(location)
    book = Book()
    for _ in range(2):
        await play(log, 6)
        async with hosting(location, {"book": book}) as host:
            await follows(host, PARTITIONS)
            await host.caught_up()
    await check_complete(log, book)
    progress, parked = await read_group(log, "g")
    ends = {number: (await log.ends(EVENTS, number)).end for number in range(PARTITIONS)}
    assert {number: each.lowest for number, each in progress.items()} == ends
    assert parked == []
    await log.close()


async def test_hosts_of_a_group_share_the_partitions_and_a_rebalance_loses_and_reorders_nothing(
    location: KafkaLocation,
) -> None:
    log = await KafkaLog.open(location)
    first, second = Book(), Book()
    async with hosting(location, {"book": first}) as one:
        await follows(one, PARTITIONS)
        async with EngineService.open(log, registry(), executor=True) as engine:
            await engine.publish_workflow(chain(code("a", "add"), code("b", "add"), END, workflow_id="w"))
            working = asyncio.create_task(busy(engine))
            async with hosting(location, {"book": second}) as two:
                while not await two.lag() or len({lag.partition for lag in await one.lag()}) == PARTITIONS:  # noqa: ASYNC110 - the same
                    await asyncio.sleep(0.01)
                await until_heard(second, 20)
            # The second host has left in order.
            await follows(one, PARTITIONS)
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
        await one.caught_up()
    for run_id, changes in (await told(log)).items():
        ids = [event for event, _ in changes]
        heard = [d.event_id for book in (first, second) for s, d in book.heard if s.run_id == run_id]
        # Nobody was killed, so nothing was heard twice.
        assert sorted(heard) == sorted(ids)
        for book in (first, second):
            own = [d.event_id for s, d in book.heard if s.run_id == run_id]
            assert own == [event for event in ids if event in own]
    await log.close()


async def until_heard(book: Book, count: int) -> None:
    before = len(book.heard)
    while len(book.heard) < before + count:  # noqa: ASYNC110 - an engine works meanwhile
        await asyncio.sleep(0.01)


async def test_hosts_that_are_killed_or_stopped_lose_nothing(location: KafkaLocation, tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    log = await KafkaLog.open(location)
    heard = tmp_path / "heard"
    async with asyncio.timeout(STORM_SECONDS), EngineService.open(log, registry(), executor=True) as engine:
        await engine.publish_workflow(chain(code("a", "add"), code("b", "add"), END, workflow_id="w"))
        working = asyncio.create_task(busy(engine))
        hosts: list[Process] = [await begin(location, "storm", heard)]
        for _ in range(KILLS):
            hosts.append(await begin(location, "storm", heard))
            await grown(heard, size(heard))
            victim = hosts.pop(chance.randrange(len(hosts)))
            if chance.random() < 0.5:
                victim.send_signal(signal.SIGKILL)
                await victim.wait()
            else:
                await end(victim)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        # Asked again each time: what was under way when the callers went is still being written.
        while await lowest(log) != await ends(log):  # noqa: ASYNC110 - other processes work
            await asyncio.sleep(0.1)
        for host in hosts:
            await end(host)
    lines = read_lines(heard)
    print(f"{await check_heard(log, lines):.2f} lines for each change")
    await log.close()


async def ends(log: KafkaLog) -> dict[int, int]:
    return {number: (await log.ends(EVENTS, number)).end for number in range(PARTITIONS)}


async def lowest(log: KafkaLog) -> dict[int, int]:
    progress, _ = await read_group(log, "storm")
    return {number: each.lowest for number, each in progress.items()}


async def test_parked_changes_are_seen_by_people_and_delivered_again_when_they_ask(location: KafkaLocation) -> None:
    log = await KafkaLog.open(location)
    (bad,) = await play(log, 1)
    book = Book()
    book.failing = {"trace.started"}
    async with hosting(location, {"book": book}, attempts=2) as host:
        await follows(host, PARTITIONS)
        await host.caught_up()
        await until_parked(host, 1)
        _, (parked,) = await read_group(log, "g")
        assert (parked.run_id, parked.attempts, parked.error) == (bad, 2, "ValueError: not today")
        book.failing = set()
        await ask_group(log, "g", None, parked, Request("retry", parked.key))
        await until_parked(host, 0)
    # The next host hears nothing of it again.
    async with hosting(location, {"book": book}, attempts=2) as host:
        await follows(host, PARTITIONS)
        await host.caught_up()
        await until_parked(host, 0)
    await check_complete(log, book)
    assert (await read_group(log, "g"))[1] == []
    await log.close()


@pytest.mark.parametrize("action", ["retry", "skip"])
async def test_what_is_asked_of_a_service_that_no_host_calls_is_done_by_the_next_that_does_the_last_request_counts(
    location: KafkaLocation, action: Action
) -> None:
    log = await KafkaLog.open(location)
    (bad,) = await play(log, 1)
    types = [event_type for _, event_type in (await told(log))[bad]]
    book, other = Book(), Book()
    book.failing = other.failing = {"trace.started"}
    async with hosting(location, {"book": book, "other": other}, attempts=1) as host:
        await follows(host, PARTITIONS)
        await host.caught_up()
        await until_parked(host, 2)
    parked = {each.service: each for each in (await read_group(log, "g"))[1]}
    async with hosting(location, {"other": (other := Book())}, adopt=True) as host:
        await follows(host, PARTITIONS)
        before: Action = "skip" if action == "retry" else "retry"
        for name, asked in (("book", before), ("book", action), ("other", "retry")):
            await ask_group(log, "g", None, parked[name], Request(asked, parked[name].key))
        # Requests are heard in order.
        await until_parked(host, 0)
    (left,) = (await read_group(log, "g"))[1]
    assert (left.service, left.asked) == ("book", action)
    assert other.of(bad) == types[types.index("trace.started") :]
    async with hosting(location, {"book": (book := Book()), "other": other}) as host:
        await follows(host, PARTITIONS)
        await until_parked(host, 0)
    assert book.of(bad) == types[types.index("trace.started") + (action == "skip") :]
    await log.close()


async def test_a_host_with_other_services_is_refused_unless_it_adopts_the_group(location: KafkaLocation) -> None:
    log = await KafkaLog.open(location)
    await play(log, 2)
    async with hosting(location, {"book": Book(), "other": Book()}) as host:
        await follows(host, PARTITIONS)
        await host.caught_up()
        with pytest.raises(LogError, match="to have no members"):
            await reset_group(log, "g", None, ("book",))
    async with hosting(location, {"book": Book()}) as host:
        with pytest.raises(GroupDiffersError, match="it also has other"):
            await host.failure()
        with pytest.raises(GroupDiffersError, match="it also has other"):
            await host.caught_up()
    await play(log, 2)
    book = Book()
    async with hosting(location, {"book": book}, adopt=True) as host:
        await follows(host, PARTITIONS)
        await host.caught_up()
    assert {run.run_id for run, _ in book.heard}
    progress, _ = await read_group(log, "g")
    assert all(set(each.services) == {"book", "other"} for each in progress.values())
    await reset_group(log, "g", None, ("book", "other"))
    async with hosting(location, {"book": (again := Book())}) as host:
        await follows(host, PARTITIONS)
        await host.caught_up()
    await check_complete(log, again)
    await log.close()


@pytest.mark.parametrize(
    ("services", "ended"),
    [
        (({"a"}, {"b"}), {0, 1}),
        (({"a"}, {"a", "b"}), {0}),
        (({"a", "b"}, {"a"}), {1}),
        (({"a", "b"}, {"b", "a"}), set()),
    ],
)
async def test_fresh_hosts_with_other_services_hear_of_each_other_before_any_partition_moves(
    location: KafkaLocation, services: tuple[set[str], set[str]], ended: set[int]
) -> None:
    log = await KafkaLog.open(location)
    runs = set(await play(log, 6))
    books = [{name: Book() for name in sorted(names)} for names in services]

    def heard(name: str) -> set[str]:
        return {run.run_id for each in books if name in each for run, _ in each[name].heard}

    async def follow(number: int) -> None:
        async with hosting(location, books[number]) as host:
            if number in ended:
                there = ", ".join(sorted(services[1 - number]))
                # One that is slow to hear of the other finds what it recorded in a partition.
                told = rf"this one calls .*, process \d+ .* calls {there}\.|in events/\d it also has"
                with pytest.raises(GroupDiffersError, match=told):
                    await host.failure()
                return
            while any(heard(name) != runs for name in services[number]):  # noqa: ASYNC110 - in other tasks
                await asyncio.sleep(0.01)

    await asyncio.gather(*(follow(number) for number in range(2)))
    await log.close()


async def test_a_mark_of_a_member_that_was_replaced_is_refused(location: KafkaLocation) -> None:
    class Nobody:
        def assigned(self, partitions: object) -> None: ...

        async def revoked(self, partitions: object) -> None: ...

        def lost(self, partitions: object) -> None: ...

        def decided(self) -> dict[int, int]:
            return {}

    log = await KafkaLog.open(location)
    assert isinstance(log, SharingLog)
    member = await log.share("m", Nobody())
    while True:
        try:
            await member.keep(0, Mark(5, "text"))
            break
        except LogError:
            await asyncio.sleep(0.01)  # it has not joined yet
    assert await member.kept(0) == Mark(5, "text")
    assert await member.kept(1) is None
    assert await log.marks("m") == {0: Mark(5, "text")}
    await member.leave()
    with pytest.raises(ClosedError, match="has left"):
        await member.keep(0, Mark(6, "later"))
    assert await log.marks("m") == {0: Mark(5, "text")}
    await log.forget_marks("m")
    assert await log.marks("m") == {}
    await log.close()


async def test_damaged_marks_end_the_host_with_a_way_to_go_on_and_reset_forgets_them(location: KafkaLocation) -> None:
    log = await KafkaLog.open(location)
    assert isinstance(log, SharingLog)
    await play(log, 3)
    book = Book()
    book.failing = {"run.created"}
    async with hosting(location, {"book": book}, attempts=1) as host:
        await follows(host, PARTITIONS)
        await host.caught_up()
    parked = (await read_group(log, "g"))[1]
    assert len(parked) == 3
    # A record that no host wrote, in place of the first of them.
    await log.append(PARKED, 0, Record(f"g/{parked[0].key}", b"{}", {}))
    with pytest.raises(StoreDamagedError, match="expected a parked change") as failed:
        await read_group(log, "g")
    assert "End all hosts of the group g, and follow again with --reset and --from beginning" in failed.value.hint
    number = next(number for number, mark in (await log.marks("g")).items() if mark.offset)
    await keep_mark(log, "g", number, Mark(1, "no progress"))
    for attempt in (read_group(log, "g"), failing(location)):
        with pytest.raises(StoreDamagedError, match="expected the progress of services in the group g, part") as failed:
            await attempt
        assert "End all hosts of the group g, and follow again with --reset" in failed.value.hint
    await reset_group(log, "g", None, ("book",))
    again = Book()
    async with hosting(location, {"book": again}) as host:
        await follows(host, PARTITIONS)
        await host.caught_up()
    await check_complete(log, again)
    assert (await read_group(log, "g"))[1] == []
    await log.close()


async def failing(location: KafkaLocation) -> None:
    """Follow until the host cannot go on."""
    async with hosting(location, {"book": Book()}) as host:
        await host.failure()


async def keep_mark(log: SharingLog, group: str, partition: int, mark: Mark) -> None:
    """Keep a mark as a member of the group that follows nothing."""

    class Nobody:
        def assigned(self, partitions: object) -> None: ...

        async def revoked(self, partitions: object) -> None: ...

        def lost(self, partitions: object) -> None: ...

        def decided(self) -> dict[int, int]:
            return {}

    member = await log.share(group, Nobody())
    while True:
        try:
            await member.keep(partition, mark)
            break
        except LogError:
            await asyncio.sleep(0.01)  # it has not joined yet
    await member.leave()


async def test_a_member_that_leaves_is_not_kept_waiting_for_what_it_asks_meanwhile(location: KafkaLocation) -> None:
    answers: list[str] = []

    class Asks:
        def assigned(self, *_: object) -> None:
            answers.append("assigned")

        async def revoked(self, *_: object) -> None:
            try:
                answers.append(str(await member.kept(0)))
            except ClosedError:
                answers.append("closed")

        def lost(self, partitions: object) -> None: ...

        def decided(self) -> dict[int, int]:
            return {}

    log = await KafkaLog.open(location)
    member = await log.share("m", Asks())
    while not answers:  # noqa: ASYNC110 - the group decides
        await asyncio.sleep(0.01)
    await member.leave()
    assert answers == ["assigned", "closed"]
    await log.close()


def test_progress_that_is_too_long_repeats_rather_than_forgets() -> None:
    waiting = tuple((offset, 1) for offset in range(1_000, 100_000, 37))
    services = {
        f"{number:0>100}": Progress((200_000 + number, 2), waiting if number < 3 else ()) for number in range(16)
    }
    text = PartitionProgress("topic-" + "x" * 40, services).encode(FOLLOW_METADATA_BYTES_MAX)
    assert len(text) <= FOLLOW_METADATA_BYTES_MAX
    read = read_progress(text, "here").services
    assert read.keys() == services.keys()
    for name, progress in services.items():
        assert read[name] in (progress, Progress(progress.lowest))
    assert read_progress(PartitionProgress("t", services).encode(), "here").services == services


async def test_a_host_whose_name_another_one_has_taken_says_so_and_cannot_go_on(location: KafkaLocation) -> None:
    named = {"group.instance.id": "both"}
    async with hosting(location, {"book": Book()}, properties=named) as first:
        await follows(first, PARTITIONS)
        async with hosting(location, {"book": Book()}, properties=named) as second:
            with pytest.raises(MemberReplacedError, match=f"take part in the group of {location.topic(EVENTS)}"):
                await first.failure()
            await follows(second, PARTITIONS)
