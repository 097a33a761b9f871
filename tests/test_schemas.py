"""The schemas in the repository are those of the code, and what the engine writes keeps to them."""

from pathlib import Path

from pydantic import TypeAdapter

from engine import EngineService
from engine.core.commands import ADAPTER
from engine.core.records import CommitValue
from engine.log.port import COMMANDS, EVENTS
from engine.schemas import files
from tests.simulation.log import SimulatedLog
from tests.support.workflows import END, chain, code, registry

ROOT = Path(__file__).parents[1]


def test_the_files_are_what_the_code_says() -> None:
    for name, text in files().items():
        assert (ROOT / "schemas" / name).read_text() == text, "run 'make schemas'"


async def test_commands_and_commits_on_a_log_keep_to_their_schemas() -> None:
    log = SimulatedLog()
    async with EngineService.open(log, registry()) as engine:
        for name in ("add", "fail"):
            await engine.publish_workflow(chain(code("a", name), END, workflow_id=name))
            await engine.run_workflow(name, {"x": [1, None, {"y": "z"}]}, timeout=10)
        created = await engine.create_workflow_run("add")
        await engine.cancel_workflow_run(created)
    commits = [record for record in log.partition(EVENTS, 0).records if record.headers["ce_type"] == "runline.commit"]
    assert len(commits) == 6
    for record in commits:
        value = TypeAdapter(CommitValue).validate_json(record.value, strict=True)
        assert record.headers["types"] == ",".join(event["type"] for event in value["events"])
    for record in log.partition(COMMANDS, 0).records:
        assert ADAPTER.validate_json(record.value).run == record.key
