from datetime import timedelta

import pytest

from engine import Call, ContextObject, Registry
from engine.core.state import RunStatus, TraceStatus
from engine.history import read_history, run_in, traces_in
from engine.run import RunError, Trace
from engine.service import EngineService
from projections.graph import Exit, GraphError, draw_run, draw_workflow, taken_in
from tests.graph.pictures import (
    BEGIN,
    LOOP,
    SVG,
    Picture,
    classes,
    failed,
    run_of,
    texts,
    tooltip,
    trace,
    workflow,
)
from tests.simulation.log import SimulatedLog

TIMES = "\N{MULTIPLICATION SIGN}"
TRACES = [trace(1, "start", 0), trace(2, "try", 0.25), trace(3, "ask", 0), trace(4, "try", 62), trace(5, "ask", 0)]
TAKEN = {
    Exit("start", "next"): 1,
    Exit("try", "next"): 2,
    Exit("ask", "again"): 1,
    Exit("ask", "done"): 1,
}


def drawn(*traces: Trace) -> Picture:
    return Picture(draw_run(LOOP, run_of(LOOP), traces))


@pytest.mark.parametrize("status", list(TraceStatus))
def test_every_status_has_its_word_its_colour_and_a_sign_of_its_own(status: TraceStatus) -> None:
    node = drawn(trace(1, "try", 1, trace_status=status)).node("try")
    assert classes(node) == ["node", status.value]
    assert texts(node)[2].startswith(status.value)
    (sign,) = [each.get("d") for each in node.iter(f"{SVG}path")]
    others = {
        next(drawn(trace(1, "try", 1, trace_status=other)).node("try").iter(f"{SVG}path")).get("d")
        for other in TraceStatus
        if other is not status
    }
    assert sign not in others


def test_a_node_shows_how_long_it_took() -> None:
    assert texts(drawn(trace(1, "try", 0.012)).node("try")) == ["try", "code", "Success 12 ms"]
    assert texts(drawn(trace(1, "try", 7_500)).node("try"))[2] == "Success 2:05:00"


def test_a_node_under_way_shows_since_when() -> None:
    node = drawn(trace(1, "try", None)).node("try")
    assert texts(node) == ["try", "code", "Running since 12:00:01 UTC"]
    assert "started 2026-03-01 12:00:01 UTC" in tooltip(node)


def test_a_node_executed_several_times_shows_its_last_execution_and_their_number() -> None:
    node = drawn(trace(2, "try", 1), failed(9, "try", "no"), trace(5, "try", 1)).node("try")
    assert texts(node)[2:4] == ["Failed 1.0 s", "3 executions"]
    assert "Failed" in classes(node)


def test_a_later_attempt_is_named() -> None:
    assert texts(drawn(trace(1, "try", 1, attempt=3)).node("try"))[3] == "attempt 3"


def test_an_error_is_shortened_and_the_tooltip_has_all_of_it() -> None:
    message = "nobody answers " * 30
    node = drawn(failed(1, "try", message)).node("try")
    lines = texts(node)
    assert lines[3].startswith("ValueError: nobody answers")
    assert len(lines) == 5
    assert lines[-1].endswith("…")
    assert message.strip() in tooltip(node)


def test_a_node_that_was_not_executed_is_told_apart() -> None:
    node = drawn(trace(1, "start", 0)).node("never")
    assert classes(node) == ["node", "idle"]
    assert texts(node) == ["never", "end"]
    assert "not executed" in tooltip(node)


def test_connections_that_were_taken_are_marked_with_how_often() -> None:
    picture = Picture(draw_run(LOOP, run_of(LOOP), TRACES, TAKEN))
    marked = {tooltip(each).split(", to")[0]: (texts(each), "taken" in classes(each)) for each in picture.connections}
    assert marked == {
        "start, output next": ([], True),
        "try, output next": ([f"{TIMES}2"], True),
        "ask, output again": (["again"], True),
        "ask, output done": (["done"], True),
        "ask, output other": (["other"], False),
    }
    assert tooltip(picture.connection("try", "next")).endswith("taken 2 times")
    assert tooltip(picture.connection("start", "next")).endswith("taken once")
    assert "taken" not in tooltip(picture.connection("ask", "other"))
    assert not any("taken" in classes(each) for each in Picture(draw_run(LOOP, run_of(LOOP), TRACES)).connections)


def test_the_heading_tells_how_the_run_stands() -> None:
    error = RunError("ValueError", "bad <b>", "try")
    picture = Picture(draw_run(LOOP, run_of(LOOP, RunStatus.FAILED, error=error), []))
    assert picture.heading() == [
        "A workflow",
        f"w, version {LOOP.version[:12]}",
        f"run {run_of(LOOP).run_id}",
        "Failed after 5.0 s, started 2026-03-01 12:00:00 UTC",
        "ValueError in node try: bad <b>",
    ]
    assert Picture(draw_run(LOOP, run_of(LOOP), [])).heading()[-1] == "Running since 2026-03-01 12:00:00 UTC"
    created = run_of(LOOP, RunStatus.CREATED, started=None, created=BEGIN + timedelta(hours=1))
    assert Picture(draw_run(LOOP, created, [])).heading()[-1] == "Created 2026-03-01 13:00:00 UTC"


@pytest.mark.parametrize("status", list(RunStatus))
def test_every_status_of_a_run_has_its_colour_and_its_sign(status: RunStatus) -> None:
    heading = Picture(draw_run(LOOP, run_of(LOOP, status), [])).group("head-lines")
    assert status.value in classes(heading)
    assert len(list(heading.iter(f"{SVG}circle"))) == 1


def test_the_heading_names_the_tags_of_a_run() -> None:
    heading = Picture(draw_run(LOOP, run_of(LOOP, tags=("a", "<b>")), [])).heading()
    assert heading[3] == "tags a, <b>"


def test_the_order_of_traces_and_of_taken_connections_does_not_matter() -> None:
    there = draw_run(LOOP, run_of(LOOP), TRACES, TAKEN)
    assert draw_run(LOOP, run_of(LOOP), TRACES[::-1], dict(reversed(TAKEN.items()))) == there
    assert draw_workflow(LOOP) != there


def test_another_version_is_refused() -> None:
    other = workflow({"s": "start"})
    with pytest.raises(GraphError, match=f"Expected version {LOOP.version} .* but found version {other.version}"):
        draw_run(other, run_of(LOOP), [])


async def test_the_history_tells_which_connections_were_taken() -> None:
    registry = Registry()

    @registry.node("count")
    async def count(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - the signature of a node function
        context.set("count", context.try_get("count", int, 0) + 1)

    definition = type(LOOP).model_validate(
        {
            "id": "count",
            "name": "Count to three",
            "nodes": [
                {"id": "start", "type": "start"},
                {"id": "count", "type": "code", "configuration": {"function": "count"}},
                {
                    "id": "enough",
                    "type": "switch",
                    "configuration": {
                        "cases": [
                            {"when": "count > `9`", "output": "late"},
                            {"when": "count < `3`", "output": "more"},
                        ],
                        "default": "stop",
                    },
                },
                {"id": "late", "type": "end"},
            ],
            "connections": [
                {"from": "start", "to": "count"},
                {"from": "count", "to": "enough"},
                {"from": "enough", "output": "more", "to": "count"},
                {"from": "enough", "output": "late", "to": "late"},
            ],
        }
    )
    log = SimulatedLog(partitions=1)
    async with EngineService.open(log, registry) as engine:
        await engine.publish_workflow(definition)
        ended = await engine.run_workflow("count")
        history = await read_history(log, ended.run_id)
    taken = taken_in(history)
    # The output `stop` leads nowhere: it was left by, but there is no connection that was taken.
    assert taken == {Exit("start", "next"): 1, Exit("count", "next"): 3, Exit("enough", "more"): 2}
    run = run_in(history)
    assert run is not None
    picture = Picture(draw_run(definition, run, traces_in(history), taken))
    assert texts(picture.node("count"))[3] == "3 executions"
    assert texts(picture.connection("enough", "more")) == [f"more {TIMES}2"]
