"""Starting a run costs what it must: a process that created a run does not look for it on the log."""

from collections.abc import Sequence

from engine import EngineService, RunStatus
from engine.log.kafka import KafkaLog
from engine.log.port import EVENTS, LogRecord
from tests.kafka.engines import SECONDS
from tests.kafka.points import PointedLog
from tests.support.logs import new_location
from tests.support.workflows import END, chain, code, registry

RUNS = 10


class Counting(PointedLog):
    """A log that counts the events that are looked up besides those that are followed."""

    def __init__(self, inner: KafkaLog) -> None:
        super().__init__(inner, lambda point: None)  # noqa: ARG005 - points do not matter here
        self.looked_up = 0

    async def read(self, topic: str, partition: int, offset: int, count: int) -> Sequence[LogRecord]:
        records = await super().read(topic, partition, offset, count)
        if topic == EVENTS:
            self.looked_up += len(records)
        return records


async def test_who_created_a_run_starts_it_without_reading_what_lies_before(broker: str) -> None:
    location = await new_location(broker)
    log = Counting(await KafkaLog.open(location))
    async with EngineService.open(log, registry(), executor=True) as engine:
        await engine.publish_workflow(chain(code("a", "add"), END))
        for _ in range(RUNS):
            await engine.run_workflow("chain", timeout=SECONDS)
        log.looked_up = 0
        created = [await engine.create_workflow_run("chain") for _ in range(RUNS)]
        for run_id in created:
            run = await engine.start_workflow_run_and_wait(run_id, timeout=SECONDS)
            assert run.run_status is RunStatus.SUCCESS
        assert log.looked_up == 0
        # Somebody else's runs have to be looked for.
        assert (await engine.wait_for_workflow_run(created[0], timeout=SECONDS)).run_status is RunStatus.SUCCESS
        assert log.looked_up > 0
    await log.close()
