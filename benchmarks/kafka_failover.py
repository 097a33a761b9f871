"""One of two executors is killed with 200 open runs: how long until all of them run again?

Run with `python -m benchmarks.kafka_failover`; writes JSON to `benchmarks/results/kafka_failover.json`.
"""

import asyncio
import secrets
import sys
import time
from typing import cast

from benchmarks.kafka_runs import Side
from benchmarks.kafka_side import hold_open
from benchmarks.report import publish
from engine import EngineService, WorkflowBuilder
from engine.broker import start_broker
from engine.log.kafka import KafkaLocation
from engine.log.kafka.topics import apply_topics

OPEN = 200
PARTITIONS = 4
TRIALS = 3
SESSION_MS = 2_000
SECONDS_MAX = 1.5
"""From the moment the group has given the partitions to the other executor until all runs run again."""
PATIENCE_SECONDS = 60.0
ASK_SECONDS = 0.02

Seen = tuple[list[int], int, float, float]


def seen(side: Side) -> Seen:
    """Return what an executor process has seen; see `kafka_side.engine_executor`."""
    return cast("Seen", tuple(cast("list[object]", side.ask(0, 0))))


def until(side: Side, *, owned: int, begun: int) -> Seen:
    """Wait until a process owns so many partitions and has begun so many attempts."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = seen(side)
        if len(found[0]) == owned and found[1] >= begun:
            return found
        if time.monotonic() > end:
            raise SystemExit(f"expected {owned} partitions and {begun} attempts, but found {found}")
        # The process answers questions, it tells nothing by itself; asking all the time would slow it down.
        time.sleep(ASK_SECONDS)


async def _publish(location: KafkaLocation) -> None:
    async with EngineService.open(str(location)) as service:
        await service.publish_workflow(WorkflowBuilder("holds", "Holds").start().code("hold", function="hold").build())


def trial(brokers: str) -> dict[str, float]:
    """Kill one of two executors once."""
    location = KafkaLocation(brokers, f"failover-{secrets.token_hex(4)}")
    apply_topics(location, {}, PARTITIONS)
    asyncio.run(_publish(location))
    given: dict[str, object] = {
        "location": str(location),
        "properties": {"session.timeout.ms": str(SESSION_MS), "heartbeat.interval.ms": "200"},
    }
    survivor, victim = Side("engine-executor", given), Side("engine-executor", given)
    until(survivor, owned=PARTITIONS // 2, begun=0)
    until(victim, owned=PARTITIONS // 2, begun=0)
    asyncio.run(hold_open(str(location), OPEN))
    own = theirs = 0
    while own + theirs < OPEN:
        own, theirs = seen(survivor)[1], seen(victim)[1]
    killed = time.time()
    victim.kill()
    _, _, last, assigned = until(survivor, owned=PARTITIONS, begun=own + theirs)
    survivor.close()
    return {
        "noticed_after_s": round(assigned - killed, 2),
        "running_after_noticed_s": round(last - assigned, 3),
        "session_timeout_s": SESSION_MS / 1000,
        "open_runs": OPEN,
        "of_the_dead": theirs,
    }


def main() -> bool:
    """Kill several times; return whether all runs ran again in time."""
    with start_broker() as broker:
        rows = [trial(broker.bootstrap) for _ in range(TRIALS)]
    publish("kafka_failover", rows)
    return all(row["running_after_noticed_s"] <= SECONDS_MAX for row in rows)


if __name__ == "__main__":
    sys.exit(not main())
