"""The checkers on histories written by hand: what holds is no violation, and what does not is one of its checker."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.checkers import (
    CHECKERS,
    Artefacts,
    Delivered,
    Effect,
    Facts,
    Line,
    Reading,
    Request,
    ViewDump,
    check_all,
    name_of,
)

RUN = "00000000-0000-7000-8000-000000000001"
OTHER = "00000000-0000-7000-8000-000000000002"


class Writing:
    """Writes events as an executor would."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.heads: dict[str, str] = {}
        self.epoch = ""

    def fence(self, nonce: str) -> None:
        self.epoch = f"{len(self.lines)}:{nonce}"
        self._add("fence", b"{}", {"ce_type": "runline.fence", "nonce": nonce})

    def commit(self, run: str, *events: dict[str, object], epoch: str | None = None) -> str:
        """Write a commit; one of another epoch does not count."""
        epoch, prev = self.epoch if epoch is None else epoch, self.heads.get(run, "genesis")
        value = json.dumps({"run": run, "time": "", "decided": None, "events": events}).encode()
        identity = hashlib.sha256(f"{prev}\n{epoch}\n".encode() + value).hexdigest()
        headers = {"ce_type": "runline.commit", "ce_id": identity, "prev": prev, "epoch": epoch}
        self._add(run, value, headers)
        if epoch == self.epoch:
            self.heads[run] = identity
        return identity

    def _add(self, key: str, value: bytes, headers: dict[str, str]) -> None:
        self.lines.append(Line("events", 0, len(self.lines), 0, key, value, headers))


CREATED: dict[str, object] = {"type": "run.created", "command": "c1"}
STARTED: dict[str, object] = {"type": "run.started", "command": "c2"}
WORK: dict[str, object] = {"type": "trace.started", "trace": 1, "attempt": 1, "executor": "x"}
WORKED: dict[str, object] = {"type": "trace.succeeded", "trace": 1}
SUCCEEDED: dict[str, object] = {"type": "run.succeeded", "output": {"n": 1}}


def command(offset: int, **fields: str) -> Line:
    headers = {"ce_type": fields.get("type", ""), "ce_source": "engine"}
    return Line("commands", 0, offset, 0, RUN, json.dumps(fields).encode(), headers)


def good(writing: Writing | None = None) -> Artefacts:
    """Return what one run that went well leaves behind."""
    if writing is None:
        writing = Writing()
        writing.fence("a")
        writing.commit(RUN, CREATED)
        writing.commit(RUN, STARTED, WORK)
        writing.commit(RUN, WORKED, SUCCEEDED)
    commits = [line for line in writing.lines if line.key == RUN]
    last = commits[-1].headers["ce_id"]
    found = Artefacts(Facts(partitions=1, history=True), [*writing.lines])
    found.log.append(command(0, id="c1", run=RUN, type="run.create"))
    found.log.append(command(1, id="c2", run=RUN, type="run.start"))
    found.requests.append(Request("create+start+wait", RUN, "ok", RUN, "Success", last, '{"n": 1}', seconds=2.0))
    found.effects.append(Effect(RUN, 1, 1, "x", f"{RUN}.1"))
    for line in commits:
        for index, event in enumerate(json.loads(line.value)["events"]):
            found.deliveries.append(Delivered("book", RUN, f"{line.headers['ce_id']}.{index}", event["type"]))
    accepted = [(line.offset, line.headers["ce_id"]) for line in commits]
    found.readings.append(Reading("view", 0, 0, len(writing.lines), accepted))
    row = json.dumps({"run": RUN, "status": "Success", "commit": last}).encode().hex()
    found.views = [ViewDump("runs", origin, [("runs.rows", "00", row)]) for origin in ("live", "from zero")]
    return found


def broken() -> dict[str, Artefacts]:
    """Return, for every checker, what it must object to."""
    found = {name_of(checker): good() for _, checker in CHECKERS}
    found["commands.lost"].requests.append(Request("create", OTHER, "ok"))
    found["commands.twice"] = _with(CREATED, {**STARTED}, {**CREATED, "command": "c9"})
    found["commands.unanswered"].log.append(command(2, id="c3", run=RUN, type="run.cancel"))
    found["ends.ends"] = _with(CREATED, STARTED)
    found["chain.readers_agree"].readings[0].accepted[1:] = []  # type: ignore[index]  # a list, as made above
    late = Writing()
    late.fence("a")
    old = late.epoch
    late.fence("b")
    late.commit(RUN, CREATED, STARTED, WORK, WORKED, SUCCEEDED)
    found["chain.fenced"] = good(late)
    zombies = late.commit(OTHER, CREATED, epoch=old)
    found["chain.fenced"].log = [*late.lines, *found["chain.fenced"].log[-2:]]
    found["chain.fenced"].readings.append(Reading("zombie", 0, 3, 4, [(3, zombies)]))
    found["views.equal"].views[0] = ViewDump("runs", "live", [])
    found["views.truthful"].views[:] = [ViewDump("runs", "live", []), ViewDump("runs", "from zero", [])]
    found["effects.attempts"].effects.append(Effect(RUN, 1, 1, "y"))
    found["effects.completions"].effects.clear()
    found["effects.keys"].effects.append(Effect(RUN, 1, 1, "x", "another"))
    found["deliveries.in_order"].deliveries.reverse()
    after = found["deliveries.going_on"]
    after.facts = after.facts._replace(truncated=("events/0",), going_on=(("book", 0),))
    del after.deliveries[-1]
    found["waits.truthful"].requests[0] = Request("wait", RUN, "ok", RUN, "Failed", "?")
    found["waits.in_time"].requests.append(
        Request("wait", RUN, "failed", error="e", text="t", timeout=1.0, seconds=2.5)
    )
    found["poison.kept"].log.append(Line("commands", 0, 2, 0, "k", b"\xff\xfe", {}))
    refused = found["refusals.nothing_written"]
    refused.requests[:] = [Request(each, RUN, "failed", error="e", text="t") for each in ("create", "start")]
    found["refusals.reasons"].requests.append(Request("cancel", RUN, "failed"))
    return found


def _with(*events: dict[str, object]) -> Artefacts:
    writing = Writing()
    writing.fence("a")
    for event in events:
        writing.commit(RUN, event)
    return good(writing)


def test_what_went_well_breaks_no_promise() -> None:
    assert check_all(good()) == []


@pytest.mark.parametrize("name", [name_of(checker) for _, checker in CHECKERS])
def test_a_checker_objects_to_what_breaks_its_promise(name: str) -> None:
    assert name in {violation.checker for violation in check_all(broken()[name])}


@pytest.mark.parametrize("name", [name_of(checker) for _, checker in CHECKERS])
def test_artefacts_come_back_from_a_directory_as_they_were(name: str, tmp_path: Path) -> None:
    artefacts = broken()[name]
    artefacts.dump(tmp_path)
    loaded = Artefacts.load(tmp_path)
    loaded.log.sort(key=_place)
    artefacts.log.sort(key=_place)
    assert list(map(str, check_all(loaded))) == list(map(str, check_all(artefacts)))
    assert _plain(loaded) == _plain(artefacts)


def test_nothing_that_an_election_took_away_is_held_against_anybody() -> None:
    artefacts = good()
    artefacts.facts = artefacts.facts._replace(truncated=("events/0",))
    del artefacts.log[2:4]
    artefacts.readings.clear()
    artefacts.views.clear()
    assert check_all(artefacts) == []


def _place(line: Line) -> tuple[str, int, int]:
    return line.topic, line.partition, line.offset


def _plain(artefacts: Artefacts) -> Sequence[object]:
    """Return everything in lists, so that it does not matter which kind of sequence there was."""
    return json.loads(  # type: ignore[no-any-return]  # JSON
        json.dumps([artefacts.facts, artefacts.requests, artefacts.effects, artefacts.deliveries, artefacts.readings])
    )
