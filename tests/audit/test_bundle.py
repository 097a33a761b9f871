"""A bundle proves its run offline; whatever is changed in it is found."""

import asyncio
import copy
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import LogError, RunNotFoundError
from engine.log.port import EVENTS, LogRecord
from projections.audit import (
    BundleAudit,
    BundleError,
    Progress,
    Roots,
    Rule,
    audit_bundle,
    audit_log,
    export_run,
    read_bundle,
)
from projections.audit.bundle import Bundle, digest_of, parse_bundle
from tests.audit.logs import audited, copy_of, find, forged, holds, kind, valued
from tests.audit.test_going_on import breaking
from tests.simulation.log import SimulatedLog

DONE = holds("trace.succeeded,trace.started,trace.succeeded,run.succeeded")
UNKNOWN = "01a20641-0000-7000-8000-000000000000"


@pytest.fixture(autouse=True)
def _small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("ranges", "working", "exporting"):
        monkeypatch.setattr(f"projections.audit.{place}.AUDIT_RANGE_RECORDS", 16)


def run_of(log: SimulatedLog) -> str:
    """Return a run that has ended, as late on the log as there is one."""
    records = log.partition(EVENTS, 1).records
    return next(record.key for record in reversed(records) if DONE(record))


@pytest.fixture(scope="module")
def document(whole_log: SimulatedLog, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Return a bundle as it stands in its file, of a run with records in several ranges."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for place in ("ranges", "working", "exporting"):
            monkeypatch.setattr(f"projections.audit.{place}.AUDIT_RANGE_RECORDS", 4)
        directory = tmp_path_factory.mktemp("bundle")
        bundle = asyncio.run(export_run(whole_log, run_of(whole_log), directory / "work"))
        return dict(json.loads(json.dumps(bundle.json())))


def parsed(data: object) -> Bundle:
    """Return the bundle in JSON data."""
    return parse_bundle(data, BundleError)


def rules(audit: BundleAudit) -> set[Rule]:
    """Return the rules that a bundle breaks."""
    return set(audit.violation_counts)


async def test_every_run_has_a_bundle_that_is_verified_offline(whole_log: SimulatedLog, tmp_path: Path) -> None:
    roots = Roots.of(await audited(whole_log, tmp_path))
    runs = sorted({r.key for n in (0, 1) for r in whole_log.partition(EVENTS, n).records if kind("commit")(r)})
    statuses = []
    for run in runs:
        bundle = await export_run(whole_log, run, tmp_path / "work")
        file = tmp_path / "bundle.json"
        file.write_text(json.dumps(bundle.json()), encoding="utf-8")
        found = audit_bundle(read_bundle(file), roots)
        assert found.violations == []
        assert found.counts.accepted == sum(
            r.key == run for n in (0, 1) for r in whole_log.partition(EVENTS, n).records
        )
        assert read_bundle(file).json() == bundle.json()
        statuses.append(found.status)
    assert {"Created", "Running", "Success", "Failed", "Cancelled"} == set(statuses)
    assert not (tmp_path / "work").exists()


async def test_a_run_that_is_not_there_has_no_bundle(whole_log: SimulatedLog, tmp_path: Path) -> None:
    with pytest.raises(RunNotFoundError, match=UNKNOWN):
        await export_run(whole_log, UNKNOWN, tmp_path / "work")
    log = copy_of(whole_log)
    run = run_of(log)
    log.truncate_before(EVENTS, 1, 3)
    with pytest.raises(BundleError, match="without holes"):
        await export_run(log, run, tmp_path / "work")
    # An answer is no interruption: the same question is answered anew, here of a log that is whole.
    assert not (tmp_path / "work").exists()
    assert (await export_run(whole_log, run, tmp_path / "work")).run == run


async def test_an_export_that_is_interrupted_again_and_again_gives_the_same_bundle(
    whole_log: SimulatedLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = await export_run(whole_log, run_of(whole_log), tmp_path / "other")
    monkeypatch.setattr("projections.audit.reading.AUDIT_READ_RECORDS", 3)
    monkeypatch.setattr("projections.audit.exporting.AUDIT_SAVE_RECORDS", 5)
    log = breaking(copy_of(whole_log))
    random = Random(5)
    interruptions = 0
    while True:
        log.reads_left = random.randint(1, 12)
        advanced: list[int] = []
        try:
            bundle = await export_run(log, run_of(whole_log), tmp_path / "work", Progress(advance=advanced.append))
        except LogError:
            interruptions += 1
            continue
        break
    assert interruptions > 3
    assert bundle == expected
    assert sum(advanced) == log.partition(EVENTS, 1).end


Path_ = tuple[str | int, ...]


def leaves(data: object, path: Path_ = ()) -> Iterator[Path_]:
    """Yield the paths of everything in a document."""
    if path:
        yield path
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for name, inner in items:
        yield from leaves(inner, (*path, name))


def mutate(document: dict[str, object], path: Path_, how: str, data: st.DataObject) -> None:
    """Change what stands at a path."""
    parent: object = document
    for step in path[:-1]:
        parent = parent[step]  # type: ignore[index]  # the path is from the document
    name = path[-1]
    assert isinstance(parent, dict | list)
    value = parent[name]  # type: ignore[index]  # the same
    if how == "remove":
        del parent[name]  # type: ignore[arg-type]  # the same
    elif how == "repeat" and isinstance(parent, list):
        parent.insert(int(name), copy.deepcopy(value))
    elif how == "swap" and isinstance(parent, list) and len(parent) > 1:
        other = (int(name) + 1) % len(parent)
        parent[int(name)], parent[other] = parent[other], value
    elif isinstance(value, str):
        at = data.draw(st.integers(0, len(value)))
        letter = data.draw(st.sampled_from('a0 7f{"Z:'))
        parent[name] = value[:at] + letter + value[at + data.draw(st.integers(0, 1)) :]  # type: ignore[index]  # the same
    elif isinstance(value, int):
        parent[name] = value + data.draw(st.sampled_from([-1, 1, 2, 2**40]))  # type: ignore[index]  # the same
    elif isinstance(value, dict):
        value["more"] = "x"
    elif isinstance(value, list):
        value.append("x")


def found_in(document: object) -> str:
    """Return what is wrong with a bundle, or an empty text."""
    try:
        return ", ".join(rules(audit_bundle(parsed(document))))
    except BundleError as error:
        return str(error)


def left_out(before: dict[str, object], after: dict[str, object]) -> bool:
    """Return whether nothing but the last commits was left out, which no bundle can show."""
    one, other = parsed(before), parsed(after)
    rest = [each for each in one.records if each not in other.records]
    return bool(rest) and other.records == one.records[: len(other.records)]


@settings(max_examples=600, deadline=None)
@given(data=st.data())
def test_every_change_of_a_bundle_is_found_even_with_a_digest_that_fits(
    data: st.DataObject, document: dict[str, object]
) -> None:
    changed = copy.deepcopy(document)
    path = data.draw(st.sampled_from(list(leaves(document))))
    mutate(changed, path, data.draw(st.sampled_from(["change", "remove", "repeat", "swap"])), data)
    if changed == document:
        return
    if data.draw(st.booleans()) and path != ("digest",):
        rest = {name: value for name, value in changed.items() if name != "digest"}
        changed["digest"] = digest_of(rest).hex()
    found = found_in(changed)
    assert found or left_out(document, changed), f"not found: {path}"


def fitting(document: dict[str, object]) -> Bundle:
    """Return the bundle with a digest that fits."""
    rest = {name: value for name, value in document.items() if name != "digest"}
    return parsed({**rest, "digest": digest_of(rest).hex()})


def records_in(document: dict[str, object]) -> list[dict[str, object]]:
    """Return the records of a bundle's document, to be changed."""
    records = document["records"]
    assert isinstance(records, list)
    return records


def test_a_fence_that_is_left_out_is_found(document: dict[str, object]) -> None:
    changed = copy.deepcopy(document)
    records = records_in(changed)
    fences = [index for index, each in enumerate(records) if each["key"] == "fence"]
    del records[fences[0]]
    assert Rule.BUNDLE_FENCES in rules(audit_bundle(fitting(changed)))


def test_a_commit_that_is_left_out_is_found(document: dict[str, object]) -> None:
    changed = copy.deepcopy(document)
    records = records_in(changed)
    commits = [index for index, each in enumerate(records) if each["key"] == document["run"]]
    del records[commits[0]]
    assert {Rule.COMMIT_FORK, Rule.BUNDLE_CONTENTS} <= rules(audit_bundle(fitting(changed)))


def test_the_history_of_another_run_is_found(document: dict[str, object]) -> None:
    assert Rule.BUNDLE_CONTENTS in rules(audit_bundle(fitting({**document, "run": UNKNOWN})))


async def test_a_definition_of_another_version_is_found(document: dict[str, object], whole_log: SimulatedLog) -> None:
    other = whole_log.partition("workflows", 0).records[1].value.decode()
    assert document["definition"] != other
    assert Rule.BUNDLE_DEFINITION in rules(audit_bundle(fitting({**document, "definition": other})))


async def test_a_bundle_of_a_log_whose_rules_are_broken_says_so(whole_log: SimulatedLog, tmp_path: Path) -> None:
    log = copy_of(whole_log)
    records, index = find(log, DONE)

    def longer(value: dict[str, object]) -> None:
        events = value["events"]
        assert isinstance(events, list)
        events.append(events[0])

    forged(records, index, valued(records[index], longer))
    bundle = await export_run(log, records[index].key, tmp_path / "work")
    assert Rule.AFTER_END in rules(audit_bundle(bundle))


async def test_a_bundle_made_anew_by_somebody_who_knows_the_rules_is_found_by_the_stored_roots(
    whole_log: SimulatedLog, tmp_path: Path
) -> None:
    roots = Roots.of(await audit_log(whole_log, tmp_path / "work"))
    log = copy_of(whole_log)
    records, index = find(log, DONE)
    text = records[index].value.decode()
    forged(records, index, records[index]._replace(value=text.replace('"message":""', '"message":"forged"').encode()))
    bundle = await export_run(log, records[index].key, tmp_path / "work")
    assert audit_bundle(bundle).violations == []
    assert Rule.ROOT_DIFFERS in rules(audit_bundle(bundle, roots))


async def test_a_bundle_that_is_newer_than_the_stored_roots_is_not_confirmed_by_them(
    whole_log: SimulatedLog, tmp_path: Path
) -> None:
    log = copy_of(whole_log)
    records = log.partition(EVENTS, 1).records
    kept = list(records)
    del records[-40:]
    roots = Roots.of(await audit_log(log, tmp_path / "work"))
    log.partition(EVENTS, 1).records = kept
    bundle = await export_run(log, run_of(log), tmp_path / "work")
    assert Rule.ROOT_UNKNOWN in rules(audit_bundle(bundle, roots))
    other = Roots("another", roots.partitions)
    assert Rule.LOG_DIFFERS in rules(audit_bundle(bundle, other))
    assert Rule.LOG_DIFFERS in rules(audit_bundle(bundle, Roots(roots.identity, [])))


async def test_bytes_that_are_no_text_survive(whole_log: SimulatedLog, tmp_path: Path) -> None:
    log = copy_of(whole_log)
    records, index = find(log, DONE)
    run = records[index].key
    home = log.partition(EVENTS, 0).records
    strange = LogRecord(home[-1].offset + 1, home[-1].timestamp, run, b"\xff\x00", {"ce_type": "runline.commit"})
    home.append(strange)
    bundle = await export_run(log, run, tmp_path / "work")
    document = json.loads(json.dumps(bundle.json()))
    assert parsed(document).records[-1].record == strange
    assert Rule.HEADER_MISSING in rules(audit_bundle(parsed(document)))
    document["records"][-1]["base64"] = "aGVsbG8="
    with pytest.raises(BundleError, match="no text"):
        parsed(document)


def test_a_file_that_was_cut_or_is_none_is_refused_with_what_was_expected(
    document: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "bundle.json"
    text = json.dumps(document)
    for content, expected in (
        (text[:-100], "whole JSON"),
        ("", "whole JSON"),
        ("[]", "expected a bundle"),
        ('{"kind": "runline.bundle"}', "expected definition, digest"),
        (text.replace('"format": 1', '"format": 2'), "expected format 1"),
        (text.replace('"offset": ', '"offset": -'), "a whole number from 0 on at records[0].offset"),
        (text.replace('"headers": {', '"headers": {"x": 1, ', 1), "an object with texts at records[0].headers"),
        (text.replace('"timestamp": ', '"timestamp": 1.5, "was": ', 1), "found was"),
    ):
        file.write_text(content, encoding="utf-8")
        with pytest.raises(BundleError) as refused:
            read_bundle(file)
        assert expected in str(refused.value)
        assert str(file) in str(refused.value)
    with pytest.raises(BundleError, match="cannot be read"):
        read_bundle(tmp_path / "none.json")
    monkeypatch.setattr("projections.audit.bundle.BUNDLE_BYTES_MAX", 1_000)
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BundleError, match="at most 1000 bytes"):
        read_bundle(file)
