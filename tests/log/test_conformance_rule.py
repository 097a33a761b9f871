"""What the rule of the log needs of every adapter: durability, fences, groups, and room for poison."""

import asyncio
import random
from collections.abc import Mapping, Sequence

import orjson

from engine.core.records import NO_CHECKPOINT, Heading, commit_record, commit_value, fence_epoch, fence_record
from engine.core.state import GENESIS
from engine.core.view import View
from engine.log.port import COMMANDS, EVENTS, Log, Record
from tests.log.conftest import OpenAgain, OpenLog
from tests.support.seeds import drawn_seed

SECONDS = 60
RUN = "01939d5c-0000-7000-8000-000000000001"
TIME = "2026-11-22T12:00:00.000000Z"
CREATED = {"type": "run.created", "workflow": "w", "version": "v", "correlation": RUN, "command": "c"}
REFUSED = {
    "type": "command.refused",
    "command": "c",
    "command_type": "run.create",
    "offset": 1,
    "code": "x",
    "reason": "",
}


class Owner:
    """Keeps which partitions are its own."""

    def __init__(self) -> None:
        self.owned: set[int] = set()
        self.changed = asyncio.Event()

    def assigned(self, partitions: Sequence[int]) -> None:
        self.owned.update(partitions)
        self.changed.set()

    async def revoked(self, partitions: Sequence[int]) -> None:
        self.lost(partitions)

    def lost(self, partitions: Sequence[int]) -> None:
        self.owned.difference_update(partitions)
        self.changed.set()

    def decided(self) -> Mapping[int, int]:
        return dict.fromkeys(self.owned, 0)

    async def owns(self, partitions: set[int]) -> None:
        async with asyncio.timeout(SECONDS):
            while self.owned != partitions:
                self.changed.clear()
                await self.changed.wait()


def commit(event: Mapping[str, object], *, epoch: str, prev: str = GENESIS) -> Record:
    value = commit_value(RUN, TIME, None, [orjson.dumps(event)])
    return commit_record(
        value,
        run_id=RUN,
        time=TIME,
        decided=None,
        prev=prev,
        epoch=epoch,
        types=str(event["type"]),
        causation="",
        heading=Heading("/", RUN, "", NO_CHECKPOINT),
    )


async def fence(log: Log, nonce: str) -> str:
    record = fence_record(nonce, executor=nonce, source="/", time=TIME, checkpoint=NO_CHECKPOINT)
    return fence_epoch(await log.append(EVENTS, 0, record), record.headers)


async def folded(log: Log) -> View:
    view = View()
    for record in await log.read(EVENTS, 0, 0, 100):
        view.fold(record)
    return view


async def test_what_was_appended_is_there_for_whoever_opens_the_log_next_and_more_follows_it(
    open_again: OpenAgain,
) -> None:
    for turn in range(3):
        log = await open_again()
        assert [one.value for one in await log.read(EVENTS, 1, 0, 10)] == [b"%d" % number for number in range(turn)]
        assert await log.append(EVENTS, 1, Record(RUN, b"%d" % turn, {"turn": str(turn)})) == turn
    log = await open_again()
    assert [one.headers for one in await log.read_key(EVENTS, 1, RUN)] == [{"turn": str(turn)} for turn in range(3)]


async def test_what_a_replaced_owner_writes_behind_the_fence_counts_for_no_reader(open_log: OpenLog) -> None:
    log = await open_log()
    old = await fence(log, "old")
    first = commit(CREATED, epoch=old)
    await log.append(EVENTS, 0, first)
    new = await fence(log, "new")
    late = commit(REFUSED, epoch=old, prev=first.headers["ce_id"])
    await log.append(EVENTS, 0, late)
    assert (await folded(log)).runs[RUN].head == first.headers["ce_id"]
    second = commit(REFUSED, epoch=new, prev=first.headers["ce_id"])
    await log.append(EVENTS, 0, second)
    view = await folded(log)
    assert (view.epoch, view.runs[RUN].head) == (new, second.headers["ce_id"])
    following = View()
    reader = log.reader(EVENTS, 0, 0)
    async with asyncio.timeout(SECONDS):
        while following.position < view.position:
            for record in await reader.next():
                following.fold(record)
    reader.close()
    assert following.runs == view.runs


async def test_a_group_gives_its_only_member_every_partition_and_stands_by_it(open_log: OpenLog) -> None:
    log = await open_log(partitions=3)
    owner = Owner()
    member = await log.join("group", owner)
    await owner.owns({0, 1, 2})
    assert [await member.confirm(partition) for partition in range(3)] == [True] * 3
    # Who left may come back.
    await member.leave()
    await member.leave()
    again = Owner()
    member = await log.join("group", again)
    await again.owns({0, 1, 2})
    await member.leave()


async def test_poison_stays_what_it_is_and_harms_no_other_record(open_log: OpenLog) -> None:
    log = await open_log()
    chance = random.Random(drawn_seed())
    poison = [
        Record("", b"", {}),
        Record("\0", b"\0", {"ce_id": "\0"}),
        Record("fence", b"{}", {"ce_type": "runline.fence"}),
        Record("x" * 5_000, b"[" * 100_000, {"ce_type": "runline.commit", "epoch": "9" * 5_000}),
        *(Record(str(number), chance.randbytes(1_000), {"ce_id": "\U0010ffff" * 100}) for number in range(5)),
    ]
    for topic in (COMMANDS, EVENTS):
        for number, record in enumerate(poison):
            await log.append(topic, 0, record)
            await log.append(topic, 0, Record(RUN, b"%d" % number, {}))
        found = await log.read(topic, 0, 0, 100)
        assert [Record(one.key, one.value, dict(one.headers)) for one in found[::2]] == poison
        assert [one.value for one in await log.read_key(topic, 0, RUN)] == [b"%d" % n for n in range(len(poison))]
