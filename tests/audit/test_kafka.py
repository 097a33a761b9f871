"""The audit and a bundle on a real Kafka broker."""

from pathlib import Path

from engine import EngineService
from engine.log.kafka import KafkaLog
from engine.log.port import EVENTS, Record
from projections.audit import Roots, Rule, audit_bundle, audit_log, compare, export_run
from tests.audit.logs import registry, violations
from tests.support.logs import new_location
from tests.support.workflows import END, chain, code


async def test_what_engines_wrote_on_kafka_is_verified_and_what_others_wrote_is_found(
    broker: str, tmp_path: Path
) -> None:
    location = await new_location(broker, 3)
    log = await KafkaLog.open(location)
    async with EngineService.open(log, registry(), executor=True) as engine:
        await engine.publish_workflow(chain(code("a", "work"), code("b", "work"), END, workflow_id="works"))
        runs = [await engine.run_workflow("works", {"number": number}) for number in range(8)]
    audit = await audit_log(log, tmp_path / "work")
    assert violations(audit) == []
    counts = [each.counts for each in audit.partitions if each.counts is not None]
    assert (sum(each.ended for each in counts), sum(each.fences for each in counts)) == (8, 3)
    roots = Roots.of(audit)
    bundle = await export_run(log, runs[0].run_id, tmp_path / "work")
    assert audit_bundle(bundle, roots).violations == []
    offset = await log.append(EVENTS, 1, Record(runs[0].run_id, b"{}", {"ce_type": "runline.commit"}))
    audit = await audit_log(log, tmp_path / "work")
    assert {(each.rule, each.partition, each.offset) for each in violations(audit)} >= {
        (Rule.HEADER_MISSING, 1, offset)
    }
    assert (await compare(roots, audit, log)).violations == [], "what is behind the end of then is no difference"
    await log.close()


async def test_another_log_on_the_same_brokers_is_told_from_this_one(broker: str, tmp_path: Path) -> None:
    first, second = await KafkaLog.open(await new_location(broker)), await KafkaLog.open(await new_location(broker))
    roots = Roots.of(await audit_log(first, tmp_path / "work"))
    comparison = await compare(roots, await audit_log(second, tmp_path / "work"), second)
    assert [each.rule for each in comparison.violations] == [Rule.LOG_DIFFERS]
    await first.close()
    await second.close()
