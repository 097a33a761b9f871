"""The command document: its schema says what the engine takes, and its format is versioned."""

from collections import Counter

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import EngineService
from engine.core.commands import FORMAT, CancelRun, Command, CreateRun, StartRun, command_record, decode, encode
from engine.core.rejection import UNDECODABLE, Rejection
from engine.log.port import COMMANDS, EVENTS, REJECTIONS, LogRecord, Record
from engine.ports import SystemClock, SystemIds
from tests.simulation.log import SimulatedLog
from tests.support.engines import until
from tests.support.wire import check_records, cloud_event, problems, validator
from tests.support.workflows import END, chain

RUN = "01a2051f-8be2-7920-9513-584d749a374a"
_TRACE, _PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{_TRACE}-{_PARENT}-01"
COMMANDS_OF_EACH_TYPE: list[Command] = [
    CreateRun(
        id="c1", run=RUN, workflow="w", version="v", correlation="order 42", traceparent=TRACEPARENT, tags=["a", "ü b"]
    ),
    StartRun(id="c2", run=RUN, context={"at": {"$type": "date", "value": "2026-03-01"}}),
    CancelRun(id="c3", run=RUN, reason="enough"),
]

_scalars: st.SearchStrategy[object] = st.sampled_from(
    [
        None,
        True,
        0,
        1,
        2,
        "",
        "x",
        "run.start",
        "run.cancel",
        "run.create",
        RUN,
        RUN.upper(),
        "x" * 201,
        [],
        {},
        {"a": 1},
    ]
)
_contexts: st.SearchStrategy[object] = st.sampled_from(
    [
        {},
        {"a": [1, {"b": None}]},
        {"$type": "date", "value": "2026-03-01"},
        {"a": {"$type": "date", "value": "2026-03-01"}},
        {"a": {"$type": "date", "value": "tomorrow"}},
        {"a": {"$type": "date"}},
        {"a": {"$type": "mine", "value": {"b": [1]}}},
        {"a": {"$type": "mine", "value": {"$type": "date", "value": "2026-03-01"}}},
        {"a": {"$type": 1, "value": 1}},
        {"a": [{"$type": "bytes", "value": "aGVsbG8="}]},
    ]
)
_tags = st.none() | st.lists(
    st.sampled_from(["a", "b c", "ü", "x" * 100, "x" * 101, "", "a\n", "\x85", "\x7f", "\u2028", 1, None, ["a"]])
    | st.integers(0, 50).map("tag {}".format),
    max_size=22,
)
_valid = {"type": st.sampled_from(["run.create", "run.start", "run.cancel"]), "id": st.just("c"), "run": st.just(RUN)}
_more = {
    "format": st.just(1) | _scalars,
    "correlation": st.sampled_from([None, "a"]) | _scalars,
    "traceparent": st.sampled_from([None, "a"]) | _scalars,
    "workflow": st.sampled_from([None, "a"]) | _scalars,
    "version": st.sampled_from([None, "a"]) | _scalars,
    "context": _contexts | _scalars,
    "tags": _tags | _scalars,
    "reason": st.just("why") | _scalars,
    "surprise": _scalars,
}
documents = st.fixed_dictionaries(
    {name: strategy | _scalars for name, strategy in _valid.items()}, optional=_more
) | st.fixed_dictionaries(_valid, optional=_more)


@settings(deadline=None, max_examples=500)  # the first example pays for making the validator
@given(documents)
def test_the_schema_takes_exactly_the_commands_that_the_engine_takes(document: dict[str, object]) -> None:
    wrong = problems(validator("command"), document)
    found = decode(orjson.dumps(document))
    assert isinstance(found, Rejection) == bool(wrong), f"{document}: {found}, {wrong}"


@pytest.mark.parametrize("command", COMMANDS_OF_EACH_TYPE, ids=lambda command: command.type)
def test_a_command_sent_by_a_program_is_a_cloud_event_and_comes_back_as_it_was(command: Command) -> None:
    record = command_record(command, "/shop")
    assert check_records(COMMANDS, [LogRecord(0, 0, *record)]) == Counter({command.type: 1})
    event = cloud_event(record)
    assert (event.get_source(), event.get_type(), event.get_subject()) == ("/shop", command.type, RUN)
    assert event.get_id() == command.id
    assert record.key == RUN
    assert decode(record.value) == command


def test_a_command_says_its_format_and_one_that_does_not_is_of_the_first() -> None:
    document = orjson.loads(encode(COMMANDS_OF_EACH_TYPE[0]))
    assert document.pop("format") == FORMAT == 1
    assert decode(orjson.dumps(document)) == COMMANDS_OF_EACH_TYPE[0]


@pytest.mark.parametrize("unknown", [0, 2, "1", None, True, [1]])
def test_a_command_of_an_unknown_format_is_refused_whatever_else_is_in_it(unknown: object) -> None:
    found = decode(orjson.dumps({"format": unknown, "type": "run.fork", "into": 3}))
    assert isinstance(found, Rejection)
    assert found.code == UNDECODABLE
    assert found.reason == f"expected a command of format 1, but found format {unknown!r}"


_BEYOND = [str(2**63), str(2**64), str(2**64 + 1), str(-(2**63) - 1), "1" + "0" * 30, "1" + "0" * 300]


@pytest.mark.parametrize("number", _BEYOND, ids=lambda number: number[:25])
def test_an_integer_that_a_reader_would_round_is_refused(number: str) -> None:
    found = decode(b'{"type":"run.start","id":"c","run":"%b","context":{"a":[%b]}}' % (RUN.encode(), number.encode()))
    assert isinstance(found, Rejection)
    assert found.code == UNDECODABLE
    assert "signed 64 bits" in found.reason


@pytest.mark.parametrize("value", ["9" * 30, 1e30, -(2**63), 2**63 - 1, 1.8446744073709552e19])
def test_many_digits_that_are_no_such_integer_are_taken_as_they_are(value: object) -> None:
    command = StartRun(id="c", run=RUN, context={"a": value})
    assert decode(encode(command)) == command


TRACEPARENTS = [TRACEPARENT, f"00-{_TRACE}-{_PARENT}-ff", f"01-{_TRACE}-{_PARENT}-00", f"fe-{_TRACE}-{_PARENT}-01-more"]
NO_TRACEPARENTS = {
    "nothing": "",
    "junk": "a",
    "short ids": "00-1-2-01",
    "an id of zeros": f"00-{'0' * 32}-{_PARENT}-01",
    "a parent of zeros": f"00-{_TRACE}-{'0' * 16}-01",
    "capitals": TRACEPARENT.upper(),
    "a forbidden version": f"ff-{_TRACE}-{_PARENT}-01",
    "more than the first version has": f"{TRACEPARENT}-more",
    "more without a dash": f"01-{_TRACE}-{_PARENT}-01more",
    "a blank in front": f" {TRACEPARENT}",
    "a line feed behind": f"{TRACEPARENT}\n",
    "other digits": TRACEPARENT.replace("1", "\u0661"),
    "no flags": f"00-{_TRACE}-{_PARENT}",
}


def created_with(traceparent: str, run: str = RUN) -> bytes:
    return orjson.dumps({"type": "run.start", "id": "c", "run": run, "workflow": "chain", "traceparent": traceparent})


@pytest.mark.parametrize("text", TRACEPARENTS)
def test_a_trace_context_is_taken_as_it_is(text: str) -> None:
    found = decode(created_with(text))
    assert isinstance(found, StartRun)
    assert found.traceparent == text


@pytest.mark.parametrize("text", NO_TRACEPARENTS.values(), ids=NO_TRACEPARENTS)
def test_a_text_that_is_no_trace_context_is_ignored(text: str) -> None:
    found = decode(created_with(text))
    assert isinstance(found, StartRun)
    assert found == StartRun(id="c", run=RUN, workflow="chain")
    assert problems(validator("command"), orjson.loads(created_with(text))) == []


async def test_a_run_carries_on_a_trace_context_and_no_other_text() -> None:
    log, ids = SimulatedLog(), SystemIds(SystemClock())
    runs = {ids.run_id(): TRACEPARENT, ids.run_id(): "junk"}

    def ended(run: str) -> bool:
        types = (record.headers["types"] for record in log.partition(EVENTS, 0).records if record.key == run)
        return any("run.succeeded" in each for each in types)

    async with EngineService.open(log) as engine:
        await engine.publish_workflow(chain(END))
        for run, traceparent in runs.items():
            log.land(COMMANDS, 0, Record(run, created_with(traceparent, run), {}))
        for run in runs:
            await until(lambda run=run: ended(run))  # type: ignore[misc]  # bound now, not later
    commits = [record for record in log.partition(EVENTS, 0).records if record.key in runs]
    carried = {record.key: record.headers.get("traceparent") for record in commits}
    created = {
        record.key: event.get("traceparent")
        for record in commits
        for event in orjson.loads(record.value)["events"]
        if event["type"] == "run.created"
    }
    assert list(carried.values()) == list(created.values()) == [TRACEPARENT, None]
    check_records(EVENTS, log.partition(EVENTS, 0).records)


async def test_the_refusal_of_an_unknown_format_is_there_for_all_to_see() -> None:
    log = SimulatedLog()
    value = orjson.dumps({"format": 2, "type": "run.start", "id": "c", "run": RUN, "workflow": "w", "priority": 7})
    async with EngineService.open(log) as engine:
        await engine.publish_workflow(chain(END))
        log.land(COMMANDS, 0, Record(RUN, value, {}))
        await until(lambda: len(log.partition(REJECTIONS, 0).records) == 1)
        await engine.run_workflow("chain", timeout=60)
    (rejection,) = log.partition(REJECTIONS, 0).records
    assert (rejection.key, rejection.value) == (RUN, value)
    assert rejection.headers["code"] == "undecodable"
    assert rejection.headers["reason"] == "expected a command of format 1, but found format 2"
    assert check_records(REJECTIONS, [rejection]) == Counter({"runline.rejection": 1})
