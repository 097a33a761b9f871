"""Scenarios that need nothing but a log: records in an order that storms rarely bring about, and who reads them."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import orjson

from engine.core.checkpoint import part_values
from engine.core.commands import CancelRun, StartRun
from engine.core.decide import decide
from engine.core.decision import Asked, Input, Lost, Outcome
from engine.core.records import (
    NO_CHECKPOINT,
    Heading,
    PartHeading,
    commit_record,
    commit_value,
    fence_record,
    part_record,
)
from engine.core.state import GENESIS
from engine.core.view import View
from engine.executor.beginning import begin
from engine.limits import WINDOW_SECONDS
from engine.log.port import EVENTS, Record
from tests.checkers import Artefacts, Effect, Facts, Reading, Violation, check_all
from tests.simulation.log import SimulatedLog
from tests.support.workflows import END, chain, code, plan

RUN: Final = "01939d5c-0000-7000-8000-000000000001"
OTHER: Final = "01939d5c-0000-7000-8000-000000000002"
CLOCK: Final = int("01939d5c0000", 16)
LATER: Final = CLOCK + int(2 * WINDOW_SECONDS * 1000)
TIME: Final = "2026-11-22T12:00:00.000000Z"
_CREATED: Final = {"type": "run.created", "workflow": "w", "version": "v", "correlation": RUN, "command": "c"}
_STARTED: Final[Mapping[str, object]] = {"type": "run.started", "context": {}, "next": None, "command": "d"}
_REFUSED: Final = {
    "type": "command.refused", "command": "e", "command_type": "run.start", "offset": 3, "code": "x", "reason": "y",
}  # fmt: skip
_ENDED: Final = {"type": "run.succeeded", "output": {}}


class Script:
    """A partition that is written record by record, and a view of what counts of it by the independent rule."""

    def __init__(self) -> None:
        self.log = SimulatedLog(1, lambda: CLOCK / 1000)
        self.epoch = ""
        self._heads: dict[str, str] = {}

    def fence(self, nonce: str) -> str:
        """Write a fence; return its epoch."""
        offset = self._land(fence_record(nonce, executor="x", source="/", time=TIME, checkpoint=NO_CHECKPOINT))
        self.epoch = f"{offset}:{nonce}"
        return self.epoch

    def commit(
        self,
        run: str,
        *events: Mapping[str, object],
        epoch: str | None = None,
        decided: int | None = None,
        checkpoint: str = NO_CHECKPOINT,
    ) -> Record:
        """Write a commit behind the run's last one; return it."""
        record = commit_record(
            commit_value(run, TIME, decided, [orjson.dumps(_of(run, event)) for event in events]),
            run_id=run,
            time=TIME,
            decided=decided,
            prev=self._heads.get(run, GENESIS),
            epoch=self.epoch if epoch is None else epoch,
            types=",".join(str(event["type"]) for event in events),
            causation="",
            heading=Heading("/", run, "", checkpoint),
        )
        self._land(record)
        if epoch in (None, self.epoch):
            self._heads[run] = record.headers["ce_id"]
        return record

    def again(self, record: Record) -> None:
        """Let a record land once more."""
        self._land(record)

    def parts(self, view: View, start: int, *, commands: int = 0, clock: int = -1) -> list[Record]:
        """Return the parts of a checkpoint of a view under the current epoch, one for each open run and one more."""
        states = [{run: state} for run, state in view.runs.items()] or [{}]
        values = [next(part_values(each, {}, commands=commands, clock=clock)) for each in states]
        values += list(part_values({}, view.ended, commands=commands, clock=clock))
        return [
            part_record(
                value,
                PartHeading(self.epoch, start, number, len(values), commands, clock),
                source="/",
                time=TIME,
                checkpoint=NO_CHECKPOINT,
            )
            for number, value in enumerate(values)
        ]

    def view(self) -> View:
        """Return the partition folded from zero."""
        view = View()
        for record in self.log.partition(EVENTS, 0).records:
            view.fold(record)
        return view

    @property
    def end(self) -> int:
        """The offset of the next record."""
        return self.log.partition(EVENTS, 0).end

    def check(self, *places: int, effects: Sequence[Effect] = ()) -> list[Violation]:
        """Let readers read from zero and from these places on, and return what the checkers say."""
        records = self.log.partition(EVENTS, 0).records
        found = Artefacts(Facts(1, calm=False), effects=list(effects))
        found.add_log(EVENTS, 0, records)
        for place in (0, *places):
            view = View() if not place else asyncio.run(begin(self.log, 0, place)).view
            accepted = [(each.offset, each.id) for record in records[view.position :] if (each := view.fold(record))]
            after = [commit for commit in accepted if commit[0] >= place]
            found.readings.append(Reading(f"a reader from {place} on", 0, place, len(records), after))
        return check_all(found)

    def _land(self, record: Record) -> int:
        return self.log.land(EVENTS, 0, record)


def _of(run: str, event: Mapping[str, object]) -> Mapping[str, object]:
    """Return an event whose command is one about this run."""
    return {**event, "command": f"{event['command']} {run}"} if "command" in event else event


def a_zombies_commit_behind_a_fence() -> list[Violation]:
    """An executor that was replaced writes on where the log has not gone on meanwhile."""
    script = Script()
    old = script.fence("a")
    script.commit(RUN, _CREATED)
    script.fence("b")
    script.commit(RUN, _STARTED, epoch=old)
    return script.check()


def a_commit_lands_twice() -> list[Violation]:
    """The second copy lands behind the next commit of the run."""
    script = Script()
    script.fence("a")
    script.commit(RUN, _CREATED)
    refused = script.commit(RUN, _REFUSED, decided=3)
    script.commit(RUN, _STARTED)
    script.again(refused)
    return script.check()


def bytes_that_were_changed() -> list[Violation]:
    """A commit whose headers are right and whose bytes are not lands before the right one."""
    script = Script()
    script.fence("a")
    script.commit(RUN, _CREATED)
    record = script.commit(OTHER, _CREATED)
    script.log.partition(EVENTS, 0).records.pop()
    script.again(record._replace(value=record.value.replace(b'"workflow":"w"', b'"workflow":"v"')))
    script.again(record)
    return script.check()


def a_first_commit_lands_twice() -> list[Violation]:
    """The second copy lands when the run has ended."""
    script = Script()
    script.fence("a")
    first = script.commit(RUN, _CREATED, decided=0)
    script.commit(RUN, _STARTED, _ENDED, decided=1)
    script.again(first)
    return script.check()


def a_first_commit_lands_again_when_its_run_is_forgotten() -> list[Violation]:
    """The second copy lands behind a checkpoint whose C and T are both beyond the run."""
    return _forgotten(commands=2)


def a_first_commit_lands_again_before_its_offset_is_passed() -> list[Violation]:
    """The second copy lands behind a checkpoint whose T is beyond the run, and whose C is not."""
    return _forgotten(commands=0)


def _forgotten(*, commands: int) -> list[Violation]:
    script = Script()
    script.fence("a")
    first = script.commit(RUN, _CREATED, decided=0)
    script.commit(RUN, _STARTED, _ENDED, decided=1)
    for record in script.parts(script.view(), script.end, commands=commands, clock=LATER):
        script.again(record)
    script.again(first)
    return script.check(script.end)


def a_zombies_part_among_those_of_its_successor() -> list[Violation]:
    """Parts of an older checkpoint of the same owner, which was never finished, land among those of the next one."""
    script = Script()
    script.fence("a")
    script.commit(RUN, _CREATED, decided=0)
    before = script.view()
    old = script.parts(before, script.end)
    script.commit(OTHER, {**_CREATED, "correlation": OTHER}, decided=1)
    now = script.parts(script.view(), script.end)
    first = script.end
    script.again(now[0])
    for record in old[1:]:
        script.again(record)
    for record in now[1:]:
        script.again(record)
    script.commit(RUN, _STARTED, decided=2, checkpoint=str(first))
    script.commit(OTHER, _STARTED, decided=3, checkpoint=str(first))
    return script.check(script.end - 1)


def an_outcome_of_an_older_attempt_is_decided() -> list[Violation]:
    """A process gives up on an attempt, and its outcome comes when the next attempt is under way."""
    script, made = Script(), plan(chain(code("a", "add"), END))
    script.fence("a")
    script.commit(RUN, _CREATED)
    for given in (Asked(StartRun(id="d", run=RUN), b"", 1, CLOCK), Lost((2,)), Outcome(2, 1, [], "next", None)):
        decision = decide(script.view().runs[RUN], [given], made, run_id=RUN, time=TIME, executor="x")
        if decision.events:
            script.commit(RUN, *map(orjson.loads, decision.events))
    return script.check(effects=[Effect(RUN, 2, 1, "x")])


def the_last_outcome_comes_with_a_cancellation() -> list[Violation]:
    """They are decided together: the outcome ends the run, and there is nothing left to cancel."""
    script, made = Script(), plan(chain(code("a", "add"), END))
    script.fence("a")
    script.commit(RUN, _CREATED)
    started: list[Input] = [Asked(StartRun(id="d", run=RUN), b"", 1, CLOCK)]
    together: list[Input] = [Outcome(2, 1, [], "next", None), Asked(CancelRun(id="f", run=RUN), b"", 2, CLOCK)]
    for inputs in (started, together):
        decision = decide(script.view().runs[RUN], inputs, made, run_id=RUN, time=TIME, executor="x")
        script.commit(RUN, *map(orjson.loads, decision.events))
    return script.check(effects=[Effect(RUN, 2, 1, "x")])


SCRIPTS: Final[tuple[Callable[[], list[Violation]], ...]] = (
    a_zombies_commit_behind_a_fence,
    a_commit_lands_twice,
    bytes_that_were_changed,
    a_first_commit_lands_twice,
    a_first_commit_lands_again_when_its_run_is_forgotten,
    a_first_commit_lands_again_before_its_offset_is_passed,
    a_zombies_part_among_those_of_its_successor,
    an_outcome_of_an_older_attempt_is_decided,
    the_last_outcome_comes_with_a_cancellation,
)
