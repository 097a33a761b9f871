"""A webhook in the host of progress services, with a real receiver that fails now and then."""

import asyncio
import random
from collections import defaultdict
from pathlib import Path

import standardwebhooks

from consumers.webhook import RUN_TYPES, Webhook
from tests.consumers.receiving import Receiver, receiving, status
from tests.consumers.test_host import hosting, play, told
from tests.consumers.test_webhook import HERE, close_at_once, close_in_the_head, secret
from tests.simulation.log import SimulatedLog
from tests.support.engines import QuickClock

WANTED = (*RUN_TYPES, "trace.succeeded")


def received(receiver: Receiver) -> dict[str, list[str]]:
    """Return the ids of the webhooks that each run was told of, in order; every signature is verified."""
    found: dict[str, list[str]] = defaultdict(list)
    for request in receiver.requests:
        message = standardwebhooks.Webhook(secret()).verify(request.body, request.headers)
        assert request.headers["webhook-id"] == message["event_id"].replace(".", "-")
        found[message["data"]["run_id"]].append(message["event_id"])
    return found


async def test_every_change_of_the_wanted_types_is_taken_in_order_whatever_the_receiver_does(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)

    bad = [status(500), status(429, "Retry-After: 1"), status(302), close_at_once, close_in_the_head]
    # Whatever the dice say later, each mood comes at least once.
    moods = [status(204), *bad]
    chance.shuffle(moods)

    async def moody(writer: asyncio.StreamWriter) -> None:
        mood = moods.pop() if moods else chance.choice(bad) if chance.random() < 0.3 else status(204)
        await mood(writer)

    log = SimulatedLog(2)
    await play(log, 10)
    clock = QuickClock()
    async with receiving(moody) as receiver:
        webhook = Webhook(receiver.url, [secret()], types=WANTED, allow_http=True, allowed_networks=HERE, clock=clock)
        async with hosting(log, tmp_path, {"hook": webhook}, attempts=1000) as host:
            await host.caught_up()
            assert [lag.parked for lag in await host.lag()] == [0, 0]
    expected = {run: [event for event, kind in changes if kind in WANTED] for run, changes in (await told(log)).items()}
    found = received(receiver)
    assert {run: list(dict.fromkeys(events)) for run, events in found.items()} == expected
    repeats = sum(map(len, found.values())) - sum(map(len, expected.values()))
    assert not moods
    assert repeats >= len(bad)


async def test_what_an_endpoint_never_takes_is_parked_with_its_answer(tmp_path: Path) -> None:
    log = SimulatedLog(1)
    await play(log, 2)
    async with receiving(status(410, body=b"not here")) as receiver:
        webhook = Webhook(receiver.url, [secret()], allow_http=True, allowed_networks=HERE)
        async with hosting(log, tmp_path, {"hook": webhook}, attempts=2) as host:
            await host.caught_up()
            (lag,) = await host.lag()
            assert lag.parked > 0
            # Two runs, each tried twice; what comes later of a run waits behind what is parked.
            assert len(receiver.requests) == 4
            parked = await host._store.parked(0)
    errors = {each.error for each in parked if each.attempts}
    assert len(errors) == 1
    assert "answered 410 with 'not here'" in errors.pop()
