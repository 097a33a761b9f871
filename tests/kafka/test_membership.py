"""A member of a group: its owner hears of partitions one thing after the other, however long it takes for each."""

import asyncio
from collections.abc import Sequence

import pytest

from engine.errors import ClosedError
from engine.log.kafka import KafkaLog
from engine.log.kafka.member import KafkaMember
from engine.log.kafka.properties import MEMBER, merged
from engine.log.port import EVENTS, Mark
from tests.kafka.engines import QUICK, eventually
from tests.support.logs import new_location

SECONDS = 60
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
    print(log.trouble)
    assert f"take part in the group of {location.topic(EVENTS)}" in log.trouble
    assert [record.levelname for record in caplog.records if "no member any more" in record.getMessage()] == ["ERROR"]
    owner.may_let_go.set()
    other.may_let_go.set()
    await log.close()


async def test_a_failure_inside_the_client_s_callbacks_ends_the_member_visibly(
    broker: str, caplog: pytest.LogCaptureFixture
) -> None:
    location = await new_location(broker)
    properties = {**merged(MEMBER, broker, {}), "group.id": location.group("g")}
    # With it the client refuses what the member does with its partitions.
    properties["partition.assignment.strategy"] = "range"
    member = KafkaMember(location.topic(EVENTS), properties, Slow(), lambda error: None)  # noqa: ARG005 - nobody listens
    await eventually(lambda: member.trouble != "", "trouble")
    assert "EAGER" in member.trouble
    assert "no member any more" in caplog.text
    assert not await member.confirm(0)
    await member.leave()
