"""The page about commands shows what the engine takes, and what it answers."""

import asyncio
import json
import re
from collections.abc import Mapping
from pathlib import Path

import orjson
import pytest
from pydantic import BaseModel

from engine import EngineService, RunStatus
from engine.core import rejection
from engine.core.commands import ADAPTER, CancelRun, CreateRun, StartRun, decode
from engine.errors import RunNotFoundError
from engine.limits import ERROR_MESSAGE_CHARACTERS_MAX, ID_CHARACTERS_MAX, RECORD_BYTES_MAX, WINDOW_SECONDS
from engine.log.embedded import EmbeddedLog
from engine.log.port import COMMANDS, EVENTS, REJECTIONS, LogRecord, Record
from engine.ports import SystemClock, SystemIds
from tests.docs.pages import ROOT, blocks, table, words
from tests.docs.test_links import test_every_link_to_a_page_leads_to_one_and_to_a_heading_in_it as check_links
from tests.support.wire import check_records, problems, validator
from tests.support.workflows import END, chain

PAGE = ROOT / "docs" / "commands.md"
HOUR_SECONDS = 3_600


def documents(mark: str) -> list[dict[str, object]]:
    return [json.loads(block.text) for block in blocks(PAGE, "json") if block.mark == mark]


def fresh(document: Mapping[str, object], ids: dict[str, str]) -> bytes:
    """Return the document with a run id of now for the one that is shown, the same one each time."""
    shown = str(document["run"])
    ids.setdefault(shown, SystemIds(SystemClock()).run_id())
    return orjson.dumps({**document, "run": ids[shown]})


async def send(log: EmbeddedLog, value: bytes) -> None:
    await log.append(COMMANDS, 0, Record(json.loads(value)["run"], value, {}))


async def next_rejection(log: EmbeddedLog) -> LogRecord:
    reader = log.reader(REJECTIONS, 0, 0)
    try:
        return (await reader.next())[0]
    finally:
        reader.close()


async def ended(engine: EngineService, run_id: str) -> RunStatus:
    """Wait for a run that somebody else starts."""
    while True:
        try:
            return (await engine.wait_for_workflow_run(run_id, timeout=30)).run_status
        except RunNotFoundError:
            await asyncio.sleep(0)


def test_every_command_on_the_page_is_one() -> None:
    shown = documents("") + documents("refused")
    assert [document["type"] for document in shown] == [
        "run.start", "run.start", "run.create", "run.start", "run.create", "run.cancel", "run.start",
    ]  # fmt: skip
    for document in shown:
        assert problems(validator("command"), document) == []
        assert not isinstance(decode(orjson.dumps(document)), rejection.Rejection)


async def test_the_commands_on_the_page_do_what_it_says_however_often_they_are_sent(tmp_path: Path) -> None:
    ids: dict[str, str] = {}
    log = await EmbeddedLog.open(tmp_path, durability="process")
    async with EngineService.open(log) as engine:
        await engine.publish_workflow(chain(END, workflow_id="order"))
        for document in documents(""):
            for _ in range(2):
                await send(log, fresh(document, ids))
        found = [await ended(engine, run_id) for run_id in ids.values()]
        runs = [await engine.get_run(run_id) for run_id in ids.values()]
        tagged = [run for run in runs if run.tags]
        typed = await engine.get_run(list(ids.values())[1])
        # A cancel is no start: the second one finds a run that has ended, and is told so.
        refused = await next_rejection(log)
    assert found == [RunStatus.SUCCESS, RunStatus.SUCCESS, RunStatus.SUCCESS, RunStatus.CANCELLED]
    assert orjson.loads(typed.output_context or "") == documents("")[1]["context"]
    commits = [record for record in await log.read(EVENTS, 0, 0, 500) if record.headers["ce_type"] == "runline.commit"]
    assert len([record for record in commits if record.headers["prev"] == "genesis"]) == 4
    told = {(record.headers["correlationid"], record.headers.get("traceparent")) for record in commits}
    created = documents("")[2]
    assert (created["correlation"], created["traceparent"]) in told
    assert [run.tags for run in tagged] == [tuple(created["tags"])]  # type: ignore[arg-type]  # a list
    assert (refused.headers["code"], refused.headers["causationid"]) == ("run_ended", "order-45-cancel")
    await log.close()


async def test_a_refused_command_is_answered_as_shown(tmp_path: Path) -> None:
    ids: dict[str, str] = {}
    ((command,), (shown,)) = documents("refused"), documents("rejection")
    log = await EmbeddedLog.open(tmp_path, durability="process")
    async with EngineService.open(log) as engine:
        await engine.publish_workflow(chain(END, workflow_id="order"))
        for _ in range(7):
            await engine.run_workflow("order", timeout=30)
        value = fresh(command, ids)
        await send(log, value)
        record = await next_rejection(log)
    assert check_records(REJECTIONS, [record])["runline.rejection"] == 1
    headers = shown["headers"]
    assert isinstance(headers, dict)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", headers["ce_time"])
    (run_id,) = ids.values()
    assert shown["key"] == command["run"] == headers["ce_subject"]
    expected = {**headers, "ce_time": record.headers["ce_time"], "ce_subject": run_id}
    assert (record.key, record.value, dict(record.headers)) == (run_id, value, expected)
    await log.close()


def test_every_field_is_in_the_table_with_the_commands_that_have_it() -> None:
    rows = {words(name)[0]: where for name, where, _ in table(PAGE, "| field | in | meaning |")}
    fields: Mapping[str, type[BaseModel]] = {"create": CreateRun, "start": StartRun, "cancel": CancelRun}
    for name, where in rows.items():
        named = fields if where == "all" else where.split(", ")
        assert {word for word, model in fields.items() if name in model.model_fields} == set(named), name
    assert set(rows) == {name for model in fields.values() for name in model.model_fields}


def test_every_code_is_in_the_table() -> None:
    codes = {value for name, value in vars(rejection).items() if name.isupper() and isinstance(value, str)}
    shown = [words(row[0])[0] for row in table(PAGE, "| code | what is refused |")]
    assert sorted(shown) == sorted(codes)


def test_numbers_on_the_page_are_the_engines() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert f"1 to {ID_CHARACTERS_MAX} characters" in text
    assert f"at most {ERROR_MESSAGE_CHARACTERS_MAX:,} characters" in text
    assert text.count(f"{RECORD_BYTES_MAX:,} bytes") == 2
    assert WINDOW_SECONDS == HOUR_SECONDS, "the page says an hour"
    assert ADAPTER.validate_python({"type": "run.cancel", "id": "c", "run": documents("")[0]["run"]}).format == 1


def test_links_lead_somewhere() -> None:
    check_links(PAGE)


@pytest.mark.parametrize("change", [{"workflow": "other"}, {"version": "0"}, {"context": {"order": 1}}], ids=str)
async def test_the_same_id_with_another_body_is_refused_while_the_run_is_open(
    tmp_path: Path, change: dict[str, object]
) -> None:
    ids: dict[str, str] = {}
    start = documents("")[0]
    log = await EmbeddedLog.open(tmp_path, durability="process")
    async with EngineService.open(log) as engine:
        # Its function is not registered here, so it stays open.
        waiting = chain({"id": "a", "type": "code", "configuration": {"function": "absent"}}, END, workflow_id="order")
        await engine.publish_workflow(waiting)
        for document in (start, start, start | change):
            await send(log, fresh(document, ids))
        record = await next_rejection(log)
    assert record.headers["code"] == "run_not_created"
    assert json.loads(record.value) == {**start, **change, "run": record.key}
    commits = [each for each in await log.read(EVENTS, 0, 0, 500) if each.headers["ce_type"] == "runline.commit"]
    assert [each.headers["types"] for each in commits] == [
        "run.created,run.started,trace.started,trace.succeeded",
        "command.refused",
    ]
    await log.close()


async def test_after_the_end_what_asks_again_changes_nothing_and_another_body_is_refused(tmp_path: Path) -> None:
    ids: dict[str, str] = {}
    start = documents("")[0]
    other = start | {"id": "another-body", "context": {}}
    create = {name: start[name] for name in ("format", "id", "run", "workflow")} | {"type": "run.create"}
    log = await EmbeddedLog.open(tmp_path, durability="process")
    async with EngineService.open(log) as engine:
        await engine.publish_workflow(chain(END, workflow_id="order"))
        await send(log, fresh(start, ids))
        assert await ended(engine, *ids.values()) is RunStatus.SUCCESS
        before = await log.ends(EVENTS, 0)
        for document in (start, create, other):
            await send(log, fresh(document, ids))
        record = await next_rejection(log)
    assert record.headers["causationid"] == other["id"], "the ones before it got no answer"
    assert record.headers["code"] == "run_not_created"
    assert await log.ends(EVENTS, 0) == before
    await log.close()
