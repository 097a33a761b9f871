import io

import orjson

from consumers.log_lines import LogLines
from engine import EngineService
from tests.simulation.log import SimulatedLog
from tests.support.workflows import END, chain, code, registry


async def lines_of(function: str) -> tuple[str, list[dict[str, object]]]:
    stream = io.StringIO()
    async with EngineService.open(SimulatedLog(), registry(), progress_services=[LogLines(stream)]) as engine:
        await engine.publish_workflow(chain(code("c", function), END, workflow_id="w"))
        run = await engine.run_workflow("w", {"secret": "do not log"})
    text = stream.getvalue()
    assert "do not log" not in text
    return run.run_id, [orjson.loads(line) for line in text.splitlines()]


async def test_every_change_is_one_json_line_in_order() -> None:
    run_id, lines = await lines_of("add")
    assert {line["run_id"] for line in lines} == {run_id}
    told = [(line["kind"], line.get("node_id"), line["status"]) for line in lines]
    assert [each for each in told if each[0] == "trace"] == [
        ("trace", node, status) for node in ("start", "c", "end") for status in ("Running", "Success")
    ]
    assert told[-1] == ("run", None, "Success")
    # What a commit says together has one id; a repetition would have it again.
    assert 1 < len({line["commit_id"] for line in lines}) <= len(lines)
    assert lines[-1]["workflow_id"] == "w"
    assert isinstance(lines[-1]["seconds"], float)
    assert all(str(line["time"]).endswith("Z") for line in lines)


async def test_a_failure_is_told_with_its_error() -> None:
    _, lines = await lines_of("fail")
    failed = [line for line in lines if line["status"] == "Failed"]
    assert [line["kind"] for line in failed] == ["trace", "run"]
    for line in failed:
        assert isinstance(line["error"], dict)
        assert list(line["error"]) == ["type", "message", "node_id"]
        assert line["error"]["node_id"] == "c"


async def test_hostile_text_stays_inside_its_line() -> None:
    stream = io.StringIO()
    async with EngineService.open(SimulatedLog(), progress_services=[LogLines(stream)]) as engine:
        await engine.publish_workflow(chain({**END, "title": "\x1b[2J\nforged"}, workflow_id="w"))
        await engine.run_workflow("w")
    titles = [orjson.loads(line).get("title") for line in stream.getvalue().splitlines()]
    assert "\x1b[2J\nforged" in titles
    assert "\x1b" not in stream.getvalue()
