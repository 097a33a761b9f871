"""One partition of `events`, audited: fences, chains, runs, checkpoints, by the rule of the log written down again."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final, TypedDict, cast

from engine.limits import AUDIT_CLOCKS_SECONDS, COMMIT_EVENTS_MAX, RECORD_BYTES_MAX
from engine.log.port import LogRecord
from projections.audit.checkpoints import Checkpoints, Past, heading_of, part_id
from projections.audit.definitions import Graph
from projections.audit.ended import EndedRun, EndedRuns
from projections.audit.findings import Findings
from projections.audit.murmur2 import home
from projections.audit.rules import Rule
from projections.audit.run_fold import Event, OpenRun, UnreadableError, created, fold
from projections.audit.shape import (
    COMMIT,
    FENCE,
    FENCE_KEY,
    GENESIS,
    PART,
    PART_KEY,
    check_headers,
    is_decimal,
    is_run_id,
)
from projections.audit.values import events_in, object_in, size_of

_AGREEING: Final = ("ce_subject", "ce_time", "types", "decided", "causationid")
"""The headers of a commit that say what its value says."""
_SHOWN: Final = 500
"""Characters of a text that holds what stands in a record."""
_KEY_AND_HEADERS: Final = 64 * 1024
"""Bytes of key and headers that no commit of ours reaches; only beyond it a record is measured exactly."""


@dataclass
class Counts:
    """What a partition holds.

    Attributes:
        commits: All commits, accepted or not.
        accepted: Those that count.
        events: The events in them.
        runs: Runs that were created.
        ended: Runs that have ended.
        fences: Fences.
        checkpoints: Checkpoints that are complete.
    """

    commits: int = 0
    accepted: int = 0
    events: int = 0
    runs: int = 0
    ended: int = 0
    fences: int = 0
    checkpoints: int = 0


class SavedEvents(TypedDict):
    """What an interrupted audit of a partition goes on from, besides its runs."""

    epoch: str | None
    epochs: list[str]
    nonces: list[str]
    unreadable: dict[str, str]
    counts: dict[str, int]
    checkpoints: dict[str, object]


class EventsAudit:
    """Audits the records of one partition in order.

    Args:
        partition: Its number.
        partitions: How many there are.
        findings: Told of violations.
        graphs: The published workflow versions.
        ended: Remembers ended runs.
        commands: The end of this partition of `commands`, or None where it is not known.
        whole: Whether these are all records of the partition; in a bundle they are not.

    Attributes:
        counts: What was there.
        runs: The open runs.
        remembered: The ended runs that checkpoints may have to hold, each with its end and the highest offset decided.
        last: The run of the last commit that counted.
        changed: The runs that are not any more as they were at the last `save`.
    """

    def __init__(
        self,
        partition: int,
        partitions: int,
        findings: Findings,
        graphs: Mapping[str, Graph],
        ended: EndedRuns,
        *,
        commands: int | None = None,
        whole: bool = True,
    ) -> None:
        self._partition = partition
        self._partitions = partitions
        self._findings = findings
        self._graphs = graphs
        self._ended = ended
        self._commands = commands
        self._whole = whole
        self.counts = Counts()
        self.runs: dict[str, OpenRun] = {}
        self.remembered: dict[str, tuple[int, int]] = {}
        self.unreadable: dict[str, str] = {}
        self.changed: set[str] = set()
        self.last: OpenRun | None = None
        self.checkpoints = Checkpoints(Past(ended, self.remembered))
        self._epoch: str | None = None
        self._epochs: dict[str, None] = {}
        self._nonces: set[str] = set()
        self._named = "none"
        self._offset = 0
        self._run = ""

    def take(self, record: LogRecord) -> None:
        """Audit the next record.

        Raises:
            UnforeseenError: A checkpoint sums up a state that was not kept: begin again, with all of them known.
        """
        self._offset = record.offset
        self._run = ""
        if record.offset >= self.checkpoints.next_wanted:
            self.checkpoints.freeze(record.offset, self._epoch, self.runs)
        try:
            self._judge(record)
        except (TypeError, ValueError, RecursionError) as error:
            # Whatever stands in a record: one that cannot be judged must not keep the others from being so.
            self._found(Rule.VALUE_MALFORMED, f"expected a record that can be judged, but {error!r}"[:_SHOWN])
            if self._run:
                self._drop(self._run, f"the commit at offset {record.offset} cannot be judged")
        if len(record.value) > RECORD_BYTES_MAX - _KEY_AND_HEADERS and size_of(record) > RECORD_BYTES_MAX:
            self._found(Rule.RECORD_LARGE, f"expected at most {RECORD_BYTES_MAX} bytes, but found {size_of(record)}")

    def _judge(self, record: LogRecord) -> None:
        kind = record.headers.get("ce_type")
        if kind == COMMIT:
            self._commit(record)
        elif kind == FENCE and record.key == FENCE_KEY:
            self._fence(record)
        elif kind == PART and record.key == PART_KEY:
            self._part(record)
        else:
            self._found(Rule.RECORD_UNKNOWN, f"found type {kind!r} under key {record.key[:80]!r}")

    def _found(self, rule: Rule, text: str) -> None:
        self._findings.add(rule, self._offset, self._run, text)

    # Fences and checkpoints.

    def _fence(self, record: LogRecord) -> None:
        headers = record.headers
        self.counts.fences += 1
        nonce = headers.get("nonce", "")
        self._epoch = f"{record.offset}:{nonce}"
        self._epochs[self._epoch] = None
        self.checkpoints.fenced()
        if check_headers(FENCE, headers, self._found):
            self._check_named(headers["checkpoint"])
        value = object_in(record.value)
        if value is None or not all(isinstance(value.get(name), str) for name in ("nonce", "executor", "time")):
            self._found(Rule.VALUE_MALFORMED, "expected nonce, executor and time in a fence")
        else:
            if value["time"] != headers.get("ce_time"):
                self._found(
                    Rule.HEADER_WRONG, f"expected ce_time {value['time']!r}, but found {headers.get('ce_time')!r}"
                )
            if not nonce or value["nonce"] != nonce or headers.get("ce_id") != nonce:
                self._found(Rule.FENCE_NONCE, f"expected nonce {nonce!r} in the value and as the id, but found another")
        if nonce in self._nonces:
            self._found(Rule.FENCE_NONCE, f"expected a nonce that nobody used before, but found {nonce!r} again")
        self._nonces.add(nonce)

    def _part(self, record: LogRecord) -> None:
        headers = record.headers
        if check_headers(PART, headers, self._found):
            self._check_named(headers["checkpoint"])
        heading = heading_of(headers)
        if heading is None:
            self._found(Rule.HEADER_WRONG, "expected the numbers of a checkpoint part in its headers")
            return
        if headers.get("ce_id") != part_id(heading, record.value):
            self._found(Rule.CHECKPOINT_ID, "expected the hash of its headers and its value as a part's id")
        if heading.epoch == self._epoch:
            before = len(self.checkpoints.complete)
            self.checkpoints.part(record, heading, self.unreadable, self._found)
            self.counts.checkpoints += len(self.checkpoints.complete) - before
        elif heading.epoch not in self._epochs:
            self._found(
                Rule.CHECKPOINT_EPOCH, f"expected the epoch of a fence before, but found {heading.epoch[:80]!r}"
            )

    def _check_named(self, named: str) -> None:
        # Nearly always the one that the record before names, and what was complete stays so.
        if self._whole and named != self._named:
            self.checkpoints.named(named, self._found)
            if is_decimal(named) and int(named) in self.checkpoints.complete:
                self._named = named

    # Commits.

    def _commit(self, record: LogRecord) -> None:
        headers, run_id = record.headers, record.key
        self._run = run_id
        self.counts.commits += 1
        if not check_headers(COMMIT, headers, self._found):
            return
        prev, epoch, identity = headers["prev"], headers["epoch"], headers["ce_id"]
        self._check_named(headers["checkpoint"])
        run = self.runs.get(run_id)
        if run is None:
            self._check_place(run_id)
        if identity != sha256(f"{prev}\n{epoch}\n".encode() + record.value).hexdigest():
            self._found(Rule.COMMIT_ID, "expected the hash of prev, epoch and value as the commit's id")
            return
        value = object_in(record.value)
        events = None if value is None else events_in(value)
        if value is None or events is None:
            self._found(Rule.VALUE_MALFORMED, "expected run, time, decided and events in a commit")
            if epoch == self._epoch and self._counts(run, headers, None):
                self._drop(run_id, f"the commit at offset {record.offset} is none")
            return
        self._check_agreement(headers, run_id, value, events)
        if epoch != self._epoch:
            if epoch not in self._epochs and not self._is_before(epoch):
                self._found(Rule.COMMIT_EPOCH, f"expected the epoch of a fence before, but found {epoch[:80]!r}")
            return
        if self._counts(run, headers, cast("int | None", value["decided"])):
            self._accept(run, headers, value, events)

    def _is_before(self, epoch: str) -> bool:
        """Return whether an epoch is of a fence before all that a bundle has: then the commit does not count."""
        offset = epoch.partition(":")[0]
        first = next(iter(self._epochs), "").partition(":")[0]
        return not self._whole and is_decimal(offset) and bool(first) and int(offset) < int(first)

    def _check_place(self, run_id: str) -> None:
        if not is_run_id(run_id):
            self._found(Rule.HEADER_WRONG, f"expected a run id as the key, but found {run_id[:80]!r}")
        right = home(run_id, self._partitions)
        if right != self._partition:
            self._found(Rule.PARTITION_WRONG, f"expected the run in partition {right}")

    def _check_agreement(
        self, headers: Mapping[str, str], run_id: str, value: Mapping[str, object], events: Sequence[Event]
    ) -> None:
        """Check that headers say what the value says."""
        decided = value["decided"]
        first = None
        for event in events:
            if "command" in event:
                first = event["command"]
                break
        types = ",".join([str(event.get("type")) for event in events])
        number = None if decided is None else str(decided)
        get = headers.get
        said = (get("ce_subject"), get("ce_time"), get("types"), get("decided"), get("causationid"))
        meant = (run_id, value["time"], types, number, first)
        if said != meant:
            for name, found, wanted in zip(_AGREEING, said, meant, strict=True):
                if found != wanted:
                    self._found(Rule.HEADER_WRONG, f"expected {name} {wanted!r}, but found {found!r}")
        if value["run"] != run_id:
            self._found(Rule.HEADER_WRONG, f"expected run {run_id} in the value, but found {value['run']!r}")
        if (decided is None) != (first is None):
            self._found(Rule.DECIDED_ORDER, f"expected decided where events name a command, but found {decided!r}")
        if len(events) > COMMIT_EVENTS_MAX:
            self._found(Rule.COMMIT_LARGE, f"expected at most {COMMIT_EVENTS_MAX} events, but found {len(events)}")

    def _counts(self, run: OpenRun | None, headers: Mapping[str, str], decided: int | None) -> bool:
        """Return whether a commit under the current epoch counts, and tell when it may not stand here."""
        prev, identity, run_id = headers["prev"], headers["ce_id"], self._run
        if run is not None:
            if prev == run.head:
                return True
            if identity not in run.ids:
                self._found(Rule.COMMIT_FORK, f"expected prev {run.head}, but found {prev[:80]!r}")
            return False
        if run_id in self.unreadable:
            return False
        ended = self._ended.get(run_id)
        late = decided is not None and decided < self.checkpoints.commands
        if prev == GENESIS:
            return not late if ended is None else not late and self._revives(ended, identity)
        if ended is None:
            text = f"expected a run's first commit to follow {GENESIS}, but found {prev[:80]!r}"
            self._found(Rule.COMMIT_FORK, text)
        elif prev == ended.ids[-1]:
            self._found(Rule.AFTER_END, f"expected nothing behind the end at offset {ended.offset}")
        elif identity not in ended.ids:
            self._found(Rule.COMMIT_FORK, "expected a copy of one of the run's commits, but it is another")
        return False

    def _revives(self, ended: EndedRun, identity: str) -> bool:
        """Return whether a second first commit counts for readers, which have forgotten the run; it never should."""
        if identity in ended.ids:
            return False
        if self.checkpoints.forgotten(self._run, ended.offset, ended.decided):
            self._found(Rule.RUN_REVIVED, f"expected no second beginning of a run that ended at offset {ended.offset}")
            return True
        self._found(Rule.AFTER_END, f"expected nothing behind the end at offset {ended.offset}")
        return False

    def _accept(
        self, run: OpenRun | None, headers: Mapping[str, str], value: Mapping[str, object], events: Sequence[Event]
    ) -> None:
        time, decided = cast("str", value["time"]), cast("int | None", value["decided"])
        run_id = self._run
        self.counts.accepted += 1
        self.counts.events += len(events)
        try:
            if run is None:
                run = created(run_id, time, events[0], self.checkpoints.generation, self._found)
                self.counts.runs += 1
                self._check_workflow(run)
                events = events[1:]
            elif run.generation != self.checkpoints.generation:
                run = run.copy(self.checkpoints.generation)
            fold(run, events, time, self._graphs.get(run.version), self._found)
        except UnreadableError:
            self._drop(run_id, f"the commit at offset {self._offset} cannot be folded")
            return
        self._check_run(run, headers, time, decided, events)
        run.head = headers["ce_id"]
        run.ids.append(run.head)
        if decided is not None and decided > run.decided:
            run.decided = decided
        self.changed.add(run_id)
        self.last = run
        if run.ended:
            self.counts.ended += 1
            self.runs.pop(run_id, None)
            self._ended.put(run_id, EndedRun(self._offset, run.decided, run.ids))
            self.remembered[run_id] = (self._offset, run.decided)
        else:
            self.runs[run_id] = run

    def _check_workflow(self, run: OpenRun) -> None:
        graph = self._graphs.get(run.version)
        if graph is None or graph.workflow != run.workflow:
            text = f"expected version {run.version} of {run.workflow!r} on workflows, but it is not there"
            self._found(Rule.WORKFLOW_MISSING, text)

    def _check_run(
        self, run: OpenRun, headers: Mapping[str, str], time: str, decided: int | None, events: Sequence[Event]
    ) -> None:
        """Check what a commit's headers and time say against the run."""
        if headers["correlationid"] != run.correlation:
            self._found(Rule.HEADER_WRONG, f"expected correlationid {run.correlation!r}, the run's")
        if headers.get("traceparent", "") != run.traceparent:
            self._found(Rule.HEADER_WRONG, f"expected traceparent {run.traceparent!r}, the run's")
        _, named, workflow = headers["ce_source"].rpartition("/workflows/")
        if named and workflow != run.workflow:
            self._found(Rule.HEADER_WRONG, f"expected a ce_source of workflow {run.workflow!r}, the run's")
        if time < run.created and _seconds_between(time, run.created) > AUDIT_CLOCKS_SECONDS:
            self._found(Rule.TIME_BACK, f"expected a time from about {run.created} on, but found {time}")
        if decided is None:
            return
        if decided <= run.decided:
            self._found(Rule.DECIDED_ORDER, f"expected a commands offset above {run.decided}, but found {decided}")
        if self._commands is not None and decided >= self._commands:
            self._found(Rule.DECIDED_UNKNOWN, f"expected an offset below {self._commands}, but found {decided}")
        for event in events:
            if event["type"] == "command.refused" and cast("int", event["offset"]) > decided:
                self._found(Rule.DECIDED_ORDER, f"expected a refusal up to {decided}, but it is of {event['offset']}")

    def _drop(self, run_id: str, why: str) -> None:
        """Judge a run no further: no reader can."""
        self.runs.pop(run_id, None)
        self.changed.add(run_id)
        self.unreadable[run_id] = why

    # Interruption.

    def save(self) -> SavedEvents:
        """Return what is needed to go on, as JSON, besides the runs; only while no checkpoint is being compared."""
        return {
            "epoch": self._epoch,
            "epochs": list(self._epochs),
            "nonces": sorted(self._nonces),
            "unreadable": self.unreadable,
            "counts": asdict(self.counts),
            "checkpoints": self.checkpoints.save(),
        }

    def restore(self, saved: SavedEvents) -> None:
        """Take over what `save` gave."""
        self._epoch = saved["epoch"]
        self._epochs = dict.fromkeys(saved["epochs"])
        self._nonces = set(saved["nonces"])
        self.unreadable = saved["unreadable"]
        self.counts = Counts(**saved["counts"])
        self.checkpoints.restore(saved["checkpoints"])


def _seconds_between(earlier: str, later: str) -> float:
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()
