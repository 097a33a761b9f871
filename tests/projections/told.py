"""What the log tells of its runs, read a second time: from JSON, sharing no code with the engine or the projections."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NotRequired, cast

from typing_extensions import TypedDict

from engine.log.port import LogRecord
from tests.checkers import accepted_commits

STATUS = {"run.succeeded": "Success", "run.failed": "Failed", "run.cancelled": "Cancelled"}
TRACE_STATUS = {"trace.succeeded": "Success", "trace.failed": "Failed", "trace.cancelled": "Cancelled"}


class ToldError(TypedDict):
    """Why something failed."""

    type: str
    message: str
    node: str | None


class ToldChange(TypedDict):
    """A change of a context."""

    op: str
    path: list[str | int]
    value: NotRequired[object]


class ToldEvent(TypedDict):
    """The fields of all events."""

    type: str
    workflow: str
    version: str
    context: object
    next: str | None
    output: object
    error: NotRequired[ToldError]
    reason: NotRequired[str]
    trace: int
    node: str
    title: str
    attempt: int
    executor: NotRequired[str]
    changes: list[ToldChange]


@dataclass
class ToldTrace:
    """A node's execution."""

    node: str
    title: str
    started: str
    input: str
    attempt: int = 0
    executor: str = ""
    status: str = "Running"
    output: str | None = None
    stopped: str | None = None


@dataclass
class ToldRun:
    """A run."""

    run_id: str
    workflow: str
    version: str
    created: str
    status: str = "Created"
    started: str | None = None
    stopped: str | None = None
    error: ToldError | None = None
    reason: str = ""
    next: str | None = None
    context: object = None
    output: object = None
    traces: dict[int, ToldTrace] = field(default_factory=dict)

    @property
    def message(self) -> str:
        if self.error is not None:
            return f"failed: {self.error['message']}"
        if self.reason:
            return f"cancelled: {self.reason}"
        running = [trace.title for _, trace in sorted(self.traces.items()) if trace.status == "Running"]
        return "running " + ", ".join(running) if running else self.status.lower()

    def waits(self) -> list[tuple[str, str, str, int, str]]:
        """Return what it waits for, since when, at which node, in which attempt, and who works on it."""
        if self.stopped is not None:
            return []
        if self.started is None:
            return [("start", self.created, "", 0, "")]
        running = [trace for _, trace in sorted(self.traces.items()) if trace.status == "Running"]
        found = [("node", trace.started, trace.node, trace.attempt, trace.executor) for trace in running]
        if self.next is not None:
            found.append(("executor", self.started, self.next, 0, ""))
        return found


def told(records: Iterable[LogRecord]) -> dict[str, ToldRun]:
    """Return the runs of a partition, by their ids."""
    runs = {}
    for run_id, commits in accepted_commits(records).items():
        run: ToldRun | None = None
        for commit in commits:
            for event in cast("list[ToldEvent]", commit["events"]):
                run = _tell(run, run_id, event, str(commit["time"]))
        assert run is not None
        runs[run_id] = run
    return runs


def _tell(run: ToldRun | None, run_id: str, event: ToldEvent, time: str) -> ToldRun:
    kind = event["type"]
    if run is None:
        assert kind == "run.created"
        return ToldRun(run_id, event["workflow"], event["version"], time)
    if kind == "run.started":
        run.status, run.started, run.next = "Running", time, event["next"]
        run.context = event["context"]
    elif kind in STATUS:
        run.status, run.stopped, run.next, run.output = STATUS[kind], time, None, event["output"]
        run.error, run.reason = event.get("error"), event.get("reason", "")
    elif kind == "trace.started":
        trace = run.traces.setdefault(
            event["trace"], ToldTrace(event["node"], event["title"], time, json.dumps(run.context, sort_keys=True))
        )
        trace.attempt, trace.executor, run.next = event["attempt"], event.get("executor", ""), None
    elif kind in TRACE_STATUS:
        trace = run.traces[event["trace"]]
        trace.status, trace.stopped = TRACE_STATUS[kind], time
        if kind == "trace.succeeded":
            for change in event["changes"]:
                _change(run.context, change)
            trace.output, run.next = json.dumps(run.context, sort_keys=True), event["next"]
    return run


def _change(context: object, change: ToldChange) -> None:
    *way, last = change["path"]
    inside = context
    for step in way:
        if isinstance(inside, dict):
            inside = inside.setdefault(step, {})
        else:
            assert isinstance(inside, list)
            assert isinstance(step, int)
            inside = inside[step]
    if change["op"] == "remove":
        assert isinstance(inside, dict)
        del inside[last]
    elif isinstance(inside, list) and last == len(inside):
        inside.append(change["value"])
    else:
        assert isinstance(inside, dict | list)
        inside[last] = json.loads(json.dumps(change["value"]))  # type: ignore[index]  # a name or a place
