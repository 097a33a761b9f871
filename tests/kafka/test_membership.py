"""A member of a group: its owner hears of partitions one thing after the other, however long it takes for each."""

import asyncio
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException

from engine.cli.exit_codes import OPERATING
from engine.errors import ClosedError, LogError
from engine.log.errors import MemberReplacedError
from engine.log.kafka import KafkaLog
from engine.log.kafka.member import KafkaMember
from engine.log.kafka.properties import MEMBER, merged
from engine.log.port import EVENTS, Mark
from tests.kafka.engines import QUICK, client, eventually, executor
from tests.support.logs import new_location
from tests.support.workflows import registry

SECONDS = 60
APPLICATION = f"{Path(__file__).parents[1] / 'cli' / 'data' / 'flows.py'}:registry"
PARTITIONS = 2


class Slow:
    """Lets go of partitions when it is told to, and writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.letting_go = asyncio.Event()
        self.may_let_go = asyncio.Event()

    def assigned(self, partitions: Sequence[int]) -> None:
        if partitions:
            self.heard.append(f"assigned {list(partitions)}")

    async def revoked(self, partitions: Sequence[int]) -> None:
        self.heard.append(f"letting go of {list(partitions)}")
        self.letting_go.set()
        await self.may_let_go.wait()
        self.heard.append(f"let go of {list(partitions)}")

    def lost(self, partitions: Sequence[int]) -> None:
        self.heard.append(f"lost {list(partitions)}")

    def decided(self) -> dict[int, int]:
        return {}


async def owns(member: KafkaMember, count: int) -> None:
    """Wait until a member has so many partitions, by its client's word."""
    while len(await member._ordered(member._consumer.assignment)) != count:
        pass


async def test_a_partition_that_comes_back_while_it_is_still_being_let_go_of_is_taken_over_afterwards(
    broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.log.kafka.member.KAFKA_REVOKE_SECONDS_MAX", 0.01)
    location = await new_location(broker, PARTITIONS)
    log, other_log = await KafkaLog.open(location, QUICK), await KafkaLog.open(location, QUICK)
    owner, other = Slow(), Slow()
    other.may_let_go.set()
    async with asyncio.timeout(SECONDS):
        member = await log.share("g", owner)
        await owns(member, PARTITIONS)
        another = await other_log.share("g", other)
        await owner.letting_go.wait()
        await owns(another, 1)
        await another.leave()
        # The group has given back what is still being let go of.
        await owns(member, PARTITIONS)
        (moved,) = [text.removeprefix("letting go of ") for text in owner.heard[1:]]
        assert owner.heard == ["assigned [0, 1]", f"letting go of {moved}"]
        owner.may_let_go.set()
        await eventually(lambda: f"assigned {moved}" in owner.heard, "the partition is taken over again")
        assert owner.heard[2:] == [f"let go of {moved}", f"assigned {moved}"]
    await log.close()
    await other_log.close()


async def test_a_member_that_cannot_go_on_says_so_and_leaves_its_partitions_to_others(
    broker: str, caplog: pytest.LogCaptureFixture
) -> None:
    location = await new_location(broker, PARTITIONS)
    log = await KafkaLog.open(location, {**QUICK, "group.instance.id": "both"})
    owner, other = Slow(), Slow()
    async with asyncio.timeout(SECONDS):
        member = await log.share("g", owner)
        await owns(member, PARTITIONS)
        assert log.trouble == ""
        # Two with one name: the brokers let nobody take part but the one who came last.
        await log.share("g", other)
        await eventually(lambda: log.trouble != "", "trouble")
        await eventually(lambda: "lost [0, 1]" in owner.heard, "the owner lets go")
        await eventually(lambda: "assigned [0, 1]" in other.heard, "the other one takes over")
        assert not await member.confirm(0)
        with pytest.raises(ClosedError):
            await member.keep(0, Mark(1, ""))
        for _ in range(2):
            assert isinstance(await member.shut_out(), MemberReplacedError)
    print(log.trouble)
    assert f"take part in the group of {location.topic(EVENTS)}" in log.trouble
    assert [record.levelname for record in caplog.records if "no member any more" in record.getMessage()] == ["ERROR"]
    owner.may_let_go.set()
    other.may_let_go.set()
    await log.close()


async def test_a_failure_inside_the_client_s_callbacks_is_visible_and_the_member_joins_again(
    broker: str, caplog: pytest.LogCaptureFixture
) -> None:
    location = await new_location(broker)
    properties = {**merged(MEMBER, broker, {}), "group.id": location.group("g")}
    # With it the client refuses what the member does with its partitions.
    properties["partition.assignment.strategy"] = "range"
    member = KafkaMember(location.topic(EVENTS), properties, Slow(), lambda error: None)  # noqa: ARG005 - nobody listens
    said = "no member any more; it joins again in"
    await eventually(lambda: caplog.text.count(said) > 1, "it tries once more")
    assert "EAGER" in member.trouble
    assert not await member.confirm(0)
    with pytest.raises(LogError, match="joins it again"):
        await member.keep(0, Mark(1, ""))
    await member.leave()
    with pytest.raises(ClosedError):
        await member.keep(0, Mark(1, ""))


async def test_a_member_whose_client_has_failed_gets_its_partitions_back(
    broker: str, caplog: pytest.LogCaptureFixture
) -> None:
    location = await new_location(broker, PARTITIONS)
    log = await KafkaLog.open(location, QUICK)
    owner = Slow()
    owner.may_let_go.set()
    async with asyncio.timeout(SECONDS):
        member = await log.share("g", owner)
        await owns(member, PARTITIONS)
        member._orders.append(fail_for_good)
        await eventually(lambda: owner.heard.count("assigned [0, 1]") == 2, "the partitions are taken over again")
        assert await member.confirm(0)
        await member.keep(0, Mark(7, "mine"))
        assert await member.kept(0) == Mark(7, "mine")
    assert owner.heard == ["assigned [0, 1]", "letting go of [0, 1]", "let go of [0, 1]", "assigned [0, 1]"]
    assert log.trouble == ""
    texts = [record.getMessage() for record in caplog.records if record.name == "runline.kafka"]
    assert any("no member any more; it joins again in 0.05 s" in text and "_FATAL" in text for text in texts)
    assert any("is a member of the group" in text and text.endswith("again") for text in texts)
    await log.close()


def fail_for_good() -> None:
    raise KafkaException(KafkaError(KafkaError._FATAL, "nothing goes any more", fatal=True))


async def test_a_member_that_was_not_heard_of_for_too_long_joins_again_by_itself(broker: str) -> None:
    location = await new_location(broker, PARTITIONS)
    log = await KafkaLog.open(location, {**QUICK, "max.poll.interval.ms": "1500"})
    other_log = await KafkaLog.open(location, QUICK)
    owner, other, asleep, awake = Slow(), Slow(), threading.Event(), threading.Event()
    owner.may_let_go.set()
    other.may_let_go.set()

    def sleep() -> None:
        asleep.set()
        awake.wait(SECONDS)

    async with asyncio.timeout(SECONDS):
        member = await log.share("g", owner)
        await owns(member, PARTITIONS)
        member._orders.append(sleep)
        await asyncio.to_thread(asleep.wait)
        # It gets both only when the group has given up the one that sleeps.
        await owns(await other_log.share("g", other), PARTITIONS)
        awake.set()
        # Those that it was asked to give up while it slept it lets go of in order; the others are lost.
        await eventually(lambda: any(text.startswith("lost") for text in owner.heard), "it hears that they are lost")
        await other_log.close()
        await owns(member, PARTITIONS)
        assert await member.confirm(0)
        assert await member.confirm(1)
    await log.close()


async def test_an_executor_whose_name_another_one_has_taken_ends_with_an_exit_code_and_says_why(broker: str) -> None:
    location = await new_location(broker, PARTITIONS)
    words = ["executor", "--app", APPLICATION, "--data", str(location)]
    words += ["--kafka", "group.instance.id=both"]
    first = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "engine.cli", *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    assert first.stdout is not None
    said = ""
    async with asyncio.timeout(SECONDS):
        while "Taking over partitions" not in said:
            said += (await first.stdout.readline()).decode()
        async with executor(location, registry(), **{"group.instance.id": "both"}):
            said += (await first.stdout.read()).decode()
            assert await first.wait() == OPERATING
    assert "error[member_replaced]: expected to take part in the group of" in said
    assert "Give each process a `group.instance.id` of its own" in said


async def test_who_does_not_execute_cannot_wait_for_that(broker: str) -> None:
    async with client(await new_location(broker)) as engine:
        with pytest.raises(ClosedError, match="does not execute runs"):
            await engine.executing()
