"""Endpoints that are away for hours, in simulated time: nothing is given up too early, nor waited for too long."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from consumers.host import Service
from consumers.webhook import RUN_TYPES, Webhook, WebhookError
from engine.limits import (
    WEBHOOK_PATIENCE_SECONDS,
    WEBHOOK_PAUSE_SECONDS_MAX,
    WEBHOOK_PAUSE_SECONDS_MIN,
    WEBHOOK_REFUSALS,
)
from engine.ports import SystemClock
from tests.consumers.receiving import RUN, Answer, Receiver, delivery, receiving, status
from tests.consumers.test_host import Book, check_complete, hosting, play, told
from tests.consumers.test_webhook import Pauses, close_at_once, webhook_to
from tests.consumers.test_webhook_host import received
from tests.simulation.log import SimulatedLog

HOUR = 3600.0


def patient(receiver: Receiver, clock: Pauses, **settings: object) -> Webhook:
    return webhook_to(receiver, clock=clock, patience=WEBHOOK_PATIENCE_SECONDS, **settings)


def numbers(receiver: Receiver) -> list[int]:
    """Return which of the deliveries were received, in order."""
    return [int(request.headers["webhook-id"].rpartition("-")[2]) for request in receiver.requests]


async def call(webhook: Webhook, number: int) -> str:
    """Call once, and say how it ended."""
    try:
        await webhook.run_progress(RUN, delivery(number))
    except WebhookError as error:
        return f"{error.status}"
    return "taken"


@pytest.mark.parametrize("bad", [status(503), status(500), status(404), status(429), status(302), close_at_once])
async def test_an_endpoint_that_is_away_is_tried_again_after_pauses_that_grow(bad: Answer) -> None:
    clock = Pauses()
    async with receiving(*[bad] * 12, status(204)) as receiver:
        webhook = patient(receiver, clock)
        ended = await asyncio.gather(*(call(webhook, number) for number in range(4)))
    assert ended == ["taken"] * 4
    assert clock.waited == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert (clock.waited[0], clock.waited[-1]) == (WEBHOOK_PAUSE_SECONDS_MIN, WEBHOOK_PAUSE_SECONDS_MAX)
    # Each has its turn, and none waits for pauses of its own.
    assert numbers(receiver) == [0, 1, 2, 3] * 4


async def test_after_an_outage_the_next_one_begins_with_the_shortest_pause_again() -> None:
    clock = Pauses()
    bad, good = status(503), status(204)
    async with receiving(bad, bad, bad, good, bad, good) as receiver:
        webhook = patient(receiver, clock)
        assert [await call(webhook, number) for number in range(2)] == ["taken", "taken"]
    assert clock.waited == [1, 2, 4, 1]


async def test_an_endpoint_that_stays_away_fails_after_three_days_and_at_once_from_then_on() -> None:
    clock = Pauses()
    begin = clock.time
    async with receiving(status(503)) as receiver:
        webhook = patient(receiver, clock)
        assert await call(webhook, 1) == "503"
        assert WEBHOOK_PATIENCE_SECONDS == 72 * HOUR
        assert 0 <= clock.time - begin - 1000 * WEBHOOK_PATIENCE_SECONDS < 1000 * WEBHOOK_PAUSE_SECONDS_MAX
        requests, waited = len(receiver.requests), len(clock.waited)
        assert await call(webhook, 2) == "503"
        assert (len(receiver.requests), len(clock.waited)) == (requests + 1, waited)


@pytest.mark.parametrize("code", [400, 410, 413, 415, 422])
async def test_an_answer_that_says_that_the_request_is_wrong_is_not_waited_for(code: int) -> None:
    clock = Pauses()
    async with receiving(status(code)) as receiver:
        assert await call(patient(receiver, clock), 1) == str(code)
        assert (len(receiver.requests), clock.waited) == (1, [])


async def test_an_address_that_is_refused_is_not_waited_for() -> None:
    async with receiving() as receiver:
        clock = Pauses()
        webhook = patient(receiver, clock, allowed_networks=())
        with pytest.raises(WebhookError, match="is not a public address"):
            await webhook.run_progress(RUN, delivery())
        assert (receiver.connections, clock.waited) == (0, [])


async def test_what_was_refused_once_more_than_it_may_be_fails_if_others_were_taken_in_between() -> None:
    bad: dict[str, int] = {"0": 0}

    async def answer(writer: asyncio.StreamWriter) -> None:
        refused = numbers(receiver)[-1] == 0
        bad["0"] += refused
        await status(500 if refused else 204)(writer)

    clock = Pauses()
    async with receiving(answer) as receiver:
        webhook = patient(receiver, clock)
        calls = [asyncio.create_task(call(webhook, number)) for number in range(WEBHOOK_REFUSALS)]
        assert await asyncio.gather(*calls[1:]) == ["taken"] * (WEBHOOK_REFUSALS - 1)
        others = [await call(webhook, number) for number in range(WEBHOOK_REFUSALS, 2 * WEBHOOK_REFUSALS)]
        assert others == ["taken"] * WEBHOOK_REFUSALS
        assert await calls[0] == "500"


async def test_a_change_that_alone_is_refused_is_parked_and_the_others_are_taken(tmp_path: Path) -> None:
    log = SimulatedLog()
    runs = await play(log, 20)

    async def answer(writer: asyncio.StreamWriter) -> None:
        await status(500 if runs[3].encode() in receiver.requests[-1].body else 204)(writer)

    clock = Pauses()
    begin = clock.time
    async with receiving(answer) as receiver:
        services: dict[str, Service] = {"hook": patient(receiver, clock)}
        # Two others have their turn between two attempts.
        async with hosting(log, tmp_path, services, attempts=2, concurrent=3, clock=clock) as host:
            await host.caught_up()
            (parked,) = await host._store.parked(0)
    assert (parked.run_id, parked.attempts) == (runs[3], 2)
    assert "answered 500" in parked.error
    assert clock.time - begin < 1000 * HOUR
    taken = [request for request in receiver.requests if runs[3].encode() not in request.body]
    assert len(taken) == len({request.headers["webhook-id"] for request in taken}) == 19 * 3
    # In each of the two calls once, and then so often.
    assert len(receiver.requests) - len(taken) >= 2 * (1 + WEBHOOK_REFUSALS)


class Absence(Pauses):
    """A clock at whose time of return somebody listens to a port again."""

    def __init__(self, port: int, stack: AsyncExitStack) -> None:
        super().__init__()
        # Receivers look at the real time, and whether a webhook is older or younger by five minutes.
        self.returns = SystemClock().milliseconds() - 500 * int(WEBHOOK_PAUSE_SECONDS_MAX)
        self.time = self.returns - int(20 * HOUR * 1000)
        self.receiver = Receiver()
        self._port = port
        self._stack = stack

    async def sleep(self, seconds: float) -> None:
        before = self.time
        await super().sleep(seconds)
        if before < self.returns <= self.time:
            self.receiver = await self._stack.enter_async_context(receiving(port=self._port))


async def test_a_receiver_that_is_away_for_most_of_a_day_misses_nothing_and_nothing_is_parked(tmp_path: Path) -> None:
    log = SimulatedLog(2)
    await play(log, 8)
    book = Book()
    async with AsyncExitStack() as stack:
        async with receiving() as before:
            pass
        clock = Absence(before.port, stack)
        hook = patient(before, clock)
        async with hosting(log, tmp_path, {"hook": hook, "book": book}, clock=clock) as host:
            await host.caught_up()
            assert [lag.parked for lag in await host.lag()] == [0] * 4
        found = received(clock.receiver)
    changes = await told(log)
    assert found == {run_id: [event for event, kind in each if kind in RUN_TYPES] for run_id, each in changes.items()}
    assert clock.returns <= clock.time < clock.returns + 1000 * WEBHOOK_PAUSE_SECONDS_MAX
    # It was asked about 20 hours long, every five minutes; the other service did not wait for it.
    assert 240 < len(clock.waited) < 260
    await check_complete(log, book)
