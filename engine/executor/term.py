"""A term: one executor owns one partition, from its fence to the next trouble, and appends, reads back, acts."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from engine import crash_points
from engine.core.commands import Command, CreateRun, StartRun, decode
from engine.core.decide import decide
from engine.core.decision import Asked, Decision, GoOn, Input, Lost, Outcome
from engine.core.plan import Plan
from engine.core.records import (
    Heading,
    commit_record,
    commit_value,
    fence_epoch,
    fence_record,
    source_of,
)
from engine.core.rejection import RUN_ENDED, RUN_UNREADABLE, Rejection
from engine.core.state import GENESIS, RunState
from engine.core.view import Accepted
from engine.crash_points import CrashPoint
from engine.errors import LogError
from engine.executor.answers import Answers
from engine.executor.batches import batches
from engine.executor.beginning import Beginning, begin
from engine.executor.checkpointer import Checkpointer
from engine.executor.intake import Intake
from engine.executor.proposal import REJECTION, Proposal
from engine.executor.settings import Settings
from engine.executor.tasks import Tasks
from engine.executor.waiting import LEAVING, Waiting
from engine.limits import COMMIT_STEPS_MAX, LOG_KNOWN_SECONDS_MAX
from engine.log.known import next_known
from engine.log.partitioner import partition_of
from engine.log.port import COMMANDS, EVENTS, LogRecord

_LOGGER = logging.getLogger("runline.executor")

# Looking a member of an enumeration up costs more than the call in which nothing happens.
_COMMAND_TAKEN: Final = CrashPoint.COMMAND_TAKEN
_COMMIT_BEFORE: Final = CrashPoint.COMMIT_BEFORE
_COMMIT_SENT: Final = CrashPoint.COMMIT_SENT
_COMMIT_READ_BACK: Final = CrashPoint.COMMIT_READ_BACK
_COMMIT_ACTED: Final = CrashPoint.COMMIT_ACTED


class ReplacedError(Exception):
    """Another fence stands behind ours: this owner's commits no longer count."""


_Decided = tuple[str, RunState | None, Sequence[Input], Decision, Heading, str]
"""What is to be sent: the run, its state, the inputs, what they mean for it, what it is headed by, and the time."""


class Term:
    """One term of owning a partition: from its fence to the next trouble."""

    def __init__(
        self, number: int, settings: Settings, beginning: Beginning, concluded: Callable[[str, Outcome], None]
    ) -> None:
        self._number = number
        self._settings = settings
        self._log = settings.log
        self._executor = settings.executor
        self._attempts = settings.attempts
        self._listener = settings.listener
        self._concluded = concluded
        self.view = beginning.view
        self._epoch = ""
        self._loop = asyncio.get_running_loop()
        self._inbox: dict[str, list[Input]] = {}
        self._due: dict[str, None] = {}
        # Whether the event loop decides in its next turn, and what nodes took in this one.
        self._soon, self._steps = False, 0
        self._pending: dict[str, Proposal] = {}
        self._intake = Intake()
        self._checkpointer = Checkpointer(number, settings, beginning)
        self._events = self._log.reader(EVENTS, number, beginning.view.position)
        self._draining: asyncio.Future[None] | None = None
        self._waiting = Waiting()
        self.productive = False
        self._tasks = Tasks()
        self._answers = Answers(number, settings, self._tasks, self._intake.settle)

    @classmethod
    async def take(cls, number: int, settings: Settings, concluded: Callable[[str, Outcome], None]) -> "Term":
        """Fence the partition and read up to the fence."""
        beginning = await begin(settings.log, number)
        term = cls(number, settings, beginning, concluded)
        try:
            await term._fence()
        except BaseException:
            term.close()
            raise
        return term

    async def _fence(self) -> None:
        settings = self._settings
        nonce = settings.ids.nonce()
        fence = fence_record(
            nonce,
            executor=settings.executor,
            source=settings.source,
            time=settings.clock.now(),
            checkpoint=self._checkpointer.named,
        )
        crash_points.reached(CrashPoint.FENCE_BEFORE)
        offset = await self._log.append(EVENTS, self._number, fence)
        crash_points.reached(CrashPoint.FENCE_AFTER)
        self._epoch = fence_epoch(offset, fence.headers)
        while self.view.position <= offset:
            for record in await next_known(self._events):
                accepted = self.view.fold(record)
                self._checkpointer.count(record)
                if accepted is not None:
                    # Somebody may wait for what an earlier term sent and did not read back.
                    self._listener.accepted(accepted)
        if self.view.epoch != self._epoch:
            raise ReplacedError
        # Only now: what was published, decided and forgotten before the fence is known, and nothing can be added there.
        await settings.catalogue.refresh()
        self._intake.position, self._intake.clock = await self._first_command(), self.view.clock
        crash_points.reached(CrashPoint.TAKEN_OVER)

    async def _first_command(self) -> int:
        """Return the offset of the first command that may not be decided, or of the first that is still there."""
        first = self.view.commands
        start = (await self._log.ends(COMMANDS, self._number)).start
        if start > first:
            # Mostly they are decided, and only no checkpoint says so yet.
            _LOGGER.warning(
                "Partition %d: the commands from offset %d to %d are gone; beginning behind them",
                self._number, first, start - 1,
            )  # fmt: skip
        return max(first, start)

    @property
    def decided(self) -> int:
        """C: the offset of `commands` below which everything is decided."""
        return self._intake.decided

    async def work(self) -> None:
        """Decide, append, read back and act until something breaks.

        Raises:
            ReplacedError: Another fence was read.
            LogError: The log failed, or an append's outcome is unknown.
        """
        self._attempts.release_all_but(self._number, self.view.runs)
        for state in list(self.view.runs.values()):
            self._resume(state)
        for work in (self._read_events(), self._read_commands(), self._miss_commits()):
            self._tasks.spawn(work)
        await self._tasks.broken

    def close(self) -> None:
        """Stop reading and deciding; attempts go on, the next term may still hold them."""
        self._events.close()
        self._settings.traffic.proposals -= sum(each.sent is not None for each in self._pending.values())
        self._pending.clear()
        self._tasks.cancel()

    def deliver(self, run_id: str, given: Input) -> None:
        """Take an input for a run; it is decided soon, unless a proposal about the run is on its way."""
        inbox = self._inbox.get(run_id)
        if inbox is None:
            self._inbox[run_id] = [given]
        else:
            inbox.append(given)
        if run_id not in self._pending:
            # What comes together is decided together.
            self._let_due(run_id)

    # Reading.

    async def _read_events(self) -> None:
        while True:
            records = await self._events.next()
            for some in batches(records):
                for record, accepted in [(record, self._fold(record)) for record in some]:
                    self._read_back(record, accepted)
                if self.view.epoch != self._epoch:
                    raise ReplacedError
                self._decide_due()
                if self._steps > COMMIT_STEPS_MAX:
                    # So much at once is enough for everybody else who waits for the event loop.
                    await asyncio.sleep(0)
            if self._checkpointer.due(self._intake.position):
                self._tasks.spawn(self._checkpointer.write(self._epoch, self._intake))

    async def _miss_commits(self) -> None:
        """Begin again when commits are not on the log that were sent long ago and did not fail.

        An unclean election may take a record away before it was read: then nobody says anything any more.
        """
        while True:
            sent = {run_id: proposal.sent for run_id, proposal in self._pending.items() if proposal.sent is not None}
            await asyncio.sleep(LOG_KNOWN_SECONDS_MAX)
            missed = [run_id for run_id, each in sent.items() if self._pending.get(run_id, REJECTION).sent is each]
            if missed and (await self._log.ends(EVENTS, self._number)).end <= self.view.position:
                raise LogError(
                    f"expected to read back {len(missed)} commits, such as one of run {missed[0]}, but partition "
                    f"{self._number} of {EVENTS} does not hold them {LOG_KNOWN_SECONDS_MAX:.0f} s after they were sent."
                )

    def _fold(self, record: LogRecord) -> Accepted | None:
        return self.view.fold(record, self._pending.get(record.key, REJECTION).sent)

    def _read_back(self, record: LogRecord, accepted: Accepted | None) -> None:
        run_id = record.key
        self._checkpointer.count(record)
        proposal = self._pending.get(run_id, REJECTION)
        ours = proposal.sent is not None and proposal.sent.headers["ce_id"] == record.headers.get("ce_id")
        if ours:
            del self._pending[run_id]
            self._settings.traffic.proposals -= 1
            if accepted is None:
                # What we took for the run's state is not what the log says: begin again.
                raise ReplacedError
            self.productive = True
            crash_points.reached(_COMMIT_READ_BACK)
            self._settle(accepted, proposal.inputs)
        if accepted is not None:
            self._act(accepted)
            crash_points.reached(_COMMIT_ACTED)
        if ours:
            # Only now, and after whoever asked for what this commit did: a second copy of that is recognised, too.
            for asked in proposal.recognised:
                self._listener.recognised(asked.command)
        if run_id in self._inbox and run_id not in self._pending:
            self._due[run_id] = None

    def _settle(self, accepted: Accepted, inputs: Sequence[Input]) -> None:
        """The commands of a proposal are decided now, or when refusals are repeated on `rejections` that it records."""
        asked = {given.offset: given for given in inputs if isinstance(given, Asked)}
        if asked:
            for event in accepted.value["events"]:
                if event["type"] == "command.refused":
                    refused = asked.pop(event["offset"])
                    self._answers.repeat(refused, Rejection(event["code"], event["reason"]))
        for offset in asked:
            self._intake.settle(offset)

    def _act(self, accepted: Accepted) -> None:
        """Do what an accepted commit asks for: start attempts, forget finished ones, go on."""
        state = accepted.after
        run_id = state.run_id
        for event in accepted.value["events"]:
            match event["type"]:
                case "trace.started":
                    if event.get("executor") == self._executor:
                        self._start(state, event["trace"])
                case "trace.succeeded" | "trace.failed" | "trace.cancelled":
                    self._attempts.release(run_id, event["trace"])
        self._listener.accepted(accepted)
        if state.ready is not None and run_id not in self._pending:
            self._inbox.setdefault(run_id, []).append(GoOn())

    def _start(self, state: RunState, number: int) -> None:
        plan = self._plan(state)
        for trace in state.open:
            if trace.number == number and plan is not None:
                self._attempts.start(self._number, state, trace, plan.nodes[trace.node], self._concluded)

    async def _read_commands(self) -> None:
        reader = self._log.reader(COMMANDS, self._number, self._intake.position)
        try:
            while True:
                for record in await reader.next():
                    if self._attempts.leaving:
                        # It is the next owner's.
                        await self._tasks.broken
                    # What makes room waits for no command that is not read yet.
                    await self._intake.room()
                    self._intake.take(record)
                    crash_points.reached(_COMMAND_TAKEN)
                    await self._ask(record)
        finally:
            reader.close()

    async def _ask(self, record: LogRecord) -> None:
        """Hand a command on to its run, unless it can be answered at once."""
        command = decode(record.value)
        if isinstance(command, Rejection):
            self._answers.reject(record, command, None)
            return
        run_id = command.run
        if partition_of(run_id, self._log.partitions) != self._number:
            self._answers.forward(record, command)
            return
        state = self.view.runs.get(run_id)
        if state is None and run_id in self.view.unreadable:
            reason = f"expected a run that this version can read, but {self.view.unreadable[run_id]}"
            self._answers.reject(record, Rejection(RUN_UNREADABLE, reason), command)
            return
        await self._know(command)
        decided = self.view.ended.get(run_id, -1) if state is None else state.decided
        if record.offset <= decided:
            self._intake.settle(record.offset)
            return
        self.deliver(run_id, Asked(command, record.value, record.offset, self._intake.clock))

    # Deciding.

    def _resume(self, state: RunState) -> None:
        """After a takeover: try again what nobody works on, take what is finished, go on where the state says so."""
        lost: list[int] = []
        inputs: list[Input] = []
        for trace in state.open:
            if not self._attempts.holds(state.run_id, trace):
                lost.append(trace.number)
            elif (outcome := self._attempts.outcome(state.run_id, trace)) is not None:
                inputs.append(outcome)
        if lost:
            inputs.append(Lost(tuple(lost)))
        if state.ready is not None:
            inputs.append(GoOn())
        for given in inputs:
            self.deliver(state.run_id, given)

    async def _know(self, command: Command) -> None:
        """Look for a workflow version that was published after the catalogue was last read."""
        if isinstance(command, CreateRun | StartRun) and command.workflow is not None:
            catalogue = self._settings.catalogue
            if catalogue.plan(command.workflow, command.version) is None:
                await catalogue.refresh()

    def _let_due(self, run_id: str) -> None:
        self._due[run_id] = None
        if not self._soon:
            self._soon = True
            self._loop.call_soon(self._decide_soon)

    def _decide_soon(self) -> None:
        self._soon = False
        self._steps = 0
        if not self._tasks.broken.done():
            try:
                self._decide_due()
            except Exception as error:  # noqa: BLE001 - nobody else hears of it, and the term must not go on
                self._tasks.fail(error)

    def _decide_due(self) -> None:
        """Decide about the runs that got inputs and have no proposal on its way."""
        due, self._due = self._due, {}
        if self._draining is not None:
            if not self._awaits_commits() and not self._draining.done():
                self._draining.set_result(None)
            return
        if self.view.epoch != self._epoch:
            return
        for some in batches([run_id for run_id in due if run_id in self._inbox and run_id not in self._pending]):
            time = self._settings.clock.now()
            for decided in [self._decide(run_id, time) for run_id in some if self._has_turn(run_id)]:
                if decided is not None:
                    self._propose(*decided)

    def _has_turn(self, run_id: str) -> bool:
        """Return whether a run is decided in this turn of the event loop, or in the next, as others took long."""
        if self._steps > COMMIT_STEPS_MAX:
            self._let_due(run_id)
            return False
        return True

    def _decide(self, run_id: str, time: str) -> _Decided | None:
        """Decide about a run's inputs; return what is to be proposed, if anything is."""
        state = self.view.runs.get(run_id)
        inputs = self._inbox.pop(run_id)
        if state is None and run_id in self.view.ended:
            self._answer_ended(run_id, inputs)
            return None
        plan = self._plan_for(inputs) if state is None else self._plan(state)
        if plan is None and state is not None:
            self._set_aside(state, inputs)
            return None
        if plan is not None and self._attempts.leaving:
            plan = plan.waiting(LEAVING)
        decision = decide(state, inputs, plan, run_id=run_id, time=time, executor=self._executor)
        self._steps += decision.steps
        if not decision.events:
            for asked in decision.recognised:
                self._answers.recognise(asked)
        if decision.left:
            self._inbox[run_id] = list(decision.left)
            inputs = inputs[: len(inputs) - len(decision.left)]
        if decision.refused is not None:
            self._refuse(*decision.refused)
            return None
        if not decision.events:
            if state is not None and state.ready is not None:
                assert plan is not None, "a run that is there goes on by one"
                self._waiting.say(state, plan)
            return None
        assert plan is not None, "a run is created by a plan, and goes on by one"
        return run_id, state, inputs, decision, self._heading(run_id, state, plan.workflow, inputs), time

    def _propose(  # noqa: PLR0917 - called in one place, with what was put together for it
        self,
        run_id: str,
        state: RunState | None,
        inputs: Sequence[Input],
        decision: Decision,
        heading: Heading,
        time: str,
    ) -> None:
        """Send a decision to the log; what it does is done when it was read back."""
        record = commit_record(
            commit_value(run_id, time, decision.decided, decision.events),
            run_id=run_id,
            time=time,
            decided=decision.decided,
            prev=GENESIS if state is None else state.head,
            epoch=self._epoch,
            types=decision.types,
            causation=decision.causation,
            heading=heading,
        )
        traffic = self._settings.traffic
        crash_points.reached(_COMMIT_BEFORE)
        self._log.send(EVENTS, self._number, record, self._tasks.fail, patient=traffic.dense)
        crash_points.reached(_COMMIT_SENT)
        traffic.proposals += 1
        self._pending[run_id] = Proposal(record, inputs, decision.recognised)

    def _set_aside(self, state: RunState, inputs: list[Input]) -> None:
        """Keep what cannot be decided without the run's version, which may come with another version of this program.

        Commands of other runs do not wait for it.
        """
        self._inbox[state.run_id] = inputs
        for given in inputs:
            if isinstance(given, Asked):
                self._intake.set_aside(given.offset)
        self._tasks.spawn(self._learn(state))

    async def _learn(self, state: RunState) -> None:
        """Look for the version of a run that the catalogue did not have."""
        await self._settings.catalogue.refresh()
        if self._plan(state) is None:
            _LOGGER.error(
                "Run %s waits: version %s of %s was never published", state.run_id, state.version, state.workflow
            )
        else:
            self._due[state.run_id] = None
            self._decide_due()

    def _plan(self, state: RunState) -> Plan | None:
        return self._settings.catalogue.plan(None, state.version)

    def _plan_for(self, inputs: Sequence[Input]) -> Plan | None:
        for given in inputs:
            if isinstance(given, Asked) and isinstance(given.command, CreateRun | StartRun):
                return self._settings.catalogue.plan(given.command.workflow or "", given.command.version)
        return None

    def _heading(self, run_id: str, state: RunState | None, workflow: str, inputs: Sequence[Input]) -> Heading:
        source = source_of(self._settings.source, workflow)
        if state is not None:
            return Heading(source, state.correlation, state.traceparent, self._checkpointer.named)
        first = next(given.command for given in inputs if isinstance(given, Asked))
        return Heading(source, first.correlation or run_id, first.traceparent or "", self._checkpointer.named)

    def _answer_ended(self, run_id: str, inputs: Sequence[Input]) -> None:
        """Nothing changes an ended run: what asks for it again is recognised, anything else is refused."""
        for position, given in enumerate(inputs):
            if not isinstance(given, Asked):
                continue
            if left := list(inputs[position + 1 :]):
                self._inbox[run_id] = left
            if isinstance(given.command, CreateRun | StartRun):
                self._pending[run_id] = REJECTION
                self._answers.answer_again(given, given.command, self._unblock)
            else:
                self._refuse(given, Rejection(RUN_ENDED, f"expected a run that goes on, but {run_id} has ended"))
            return

    def _refuse(self, asked: Asked, rejection: Rejection) -> None:
        """Put a refusal on the log; until that is acknowledged nothing else is decided about the run."""
        self._pending[asked.command.run] = REJECTION
        self._answers.refuse(asked, rejection, self._unblock)

    def _unblock(self, run_id: str) -> None:
        """Go on with a run whose refusal is on the log, or was none."""
        del self._pending[run_id]
        self._due[run_id] = None
        self._decide_due()

    # The end, and trouble.

    async def drain(self) -> None:
        """Take no more inputs, and wait until what was sent has been read back."""
        self._draining = self._loop.create_future()
        if self._awaits_commits():
            await asyncio.wait((self._draining, self._tasks.broken), return_when=asyncio.FIRST_COMPLETED)
        await self._answers.repeated()

    def _awaits_commits(self) -> bool:
        return any(each.sent is not None for each in self._pending.values())
