"""Events a second that the audit verifies, on the embedded log and on a real Kafka broker, and the export of one run.

Run with `python -m benchmarks.audit`; writes JSON to `benchmarks/results/audit.json`.
"""

import asyncio
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

from benchmarks.memory import resident_mib, run_many
from benchmarks.report import publish
from benchmarks.workload import registry, workflow
from engine import EngineService
from engine.broker import start_broker
from engine.cli.collection import collect_seldom
from engine.log.embedded import EmbeddedLog
from engine.log.kafka import KafkaLocation, KafkaLog
from engine.log.kafka.topics import apply_topics
from engine.log.port import EVENTS, Log
from projections.audit import Audit, Bundle, Roots, audit_bundle, audit_log, export_run

RUNS_EMBEDDED = 100_000
RUNS_KAFKA = 20_000
TRIALS = 3
EVENTS_PER_S_MIN = 50_000
Open = Callable[[], Awaitable[Log]]


async def fill(log: Log, runs: int) -> None:
    """Let runs of three steps end."""
    async with EngineService.open(log, registry(), executor=True) as engine:
        await engine.publish_workflow(workflow())
        await run_many(engine, runs)
    await log.close()


async def measure(name: str, opened: Open, work: Path) -> dict[str, object]:
    """Audit a log several times, and export one of its runs."""
    log = await opened()
    collect_seldom()
    audit = await audit_log(log, work / "audit")
    seconds: list[float] = []
    processor: list[float] = []
    for _ in range(TRIALS):
        begin, before = time.perf_counter(), time.process_time()
        audit = await audit_log(log, work / "audit")
        seconds.append(time.perf_counter() - begin)
        processor.append(time.process_time() - before)
    assert audit.violations == 0
    counts = [each.counts for each in audit.partitions if each.counts is not None]
    events = sum(each.events for each in counts)
    run = next(record.key for record in await log.read(EVENTS, 0, 0, 100) if record.key not in ("fence", "checkpoint"))
    begin = time.perf_counter()
    bundle = await export_run(log, run, work / "export")
    exporting = time.perf_counter() - begin
    verifying = _verified(bundle, audit)
    await log.close()
    return {
        "log": name,
        "records": sum(each.records for each in audit.partitions),
        "events": events,
        "checkpoints": sum(each.checkpoints for each in counts),
        "seconds": round(statistics.median(seconds), 2),
        "events_per_s": round(events / statistics.median(seconds)),
        "events_per_s_of_processor": round(events / statistics.median(processor)),
        "events_per_s_required": EVENTS_PER_S_MIN,
        "resident_mib": round(resident_mib()),
        "export_s": round(exporting, 2),
        "verify_bundle_ms": round(verifying * 1000, 1),
    }


def _verified(bundle: Bundle, audit: Audit) -> float:
    begin = time.perf_counter()
    found = audit_bundle(bundle, Roots.of(audit))
    assert not found.violations
    return time.perf_counter() - begin


async def embedded(directory: Path) -> dict[str, object]:
    """Measure on the embedded log."""
    await fill(await EmbeddedLog.open(directory / "log", durability="process"), RUNS_EMBEDDED)

    async def opened() -> Log:
        return await EmbeddedLog.open_reading(directory / "log")

    return await measure("embedded", opened, directory)


async def kafka(bootstrap: str, directory: Path) -> dict[str, object]:
    """Measure on Kafka."""
    location = KafkaLocation(bootstrap, f"audit-{secrets.token_hex(4)}")
    await asyncio.to_thread(apply_topics, location, {}, 1)
    await fill(await KafkaLog.open(location), RUNS_KAFKA)
    return await measure("kafka", lambda: KafkaLog.open(location), directory)


def main() -> int:
    """Measure and publish; return the exit code."""
    with tempfile.TemporaryDirectory(prefix="runline-bench-") as name:
        rows = [asyncio.run(embedded(Path(name)))]
        with start_broker() as broker:
            rows.append(asyncio.run(kafka(broker.bootstrap, Path(name))))
    publish("audit", rows)
    return int(cast("int", rows[0]["events_per_s"]) < EVENTS_PER_S_MIN)


if __name__ == "__main__":
    sys.exit(main())
