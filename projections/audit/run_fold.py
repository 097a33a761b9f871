"""One run's fold: what its events make of it, and the rules between them. Written down a second time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Final, cast

from projections.audit.definitions import Graph
from projections.audit.rules import Rule
from projections.audit.shape import TERMINAL, Found, event_problem, is_known
from projections.audit.wire import ChangeError, JsonObject, changed, same

Event = Mapping[str, object]

CREATED: Final = "Created"
RUNNING: Final = "Running"
_ENDED: Final = {"run.succeeded": "Success", "run.failed": "Failed", "run.cancelled": "Cancelled"}
_NUMBER, _NODE, _TYPE, _ATTEMPT, _EXECUTOR = 0, 1, 2, 4, 5
"""Places in an open trace: number, node, node type, title, attempt, executor and start, as in a checkpoint."""


class UnreadableError(Exception):
    """An event cannot be folded, so that no reader can go on with the run."""


@dataclass(slots=True)
class OpenRun:
    """A run that has not ended. The first fields are those of a checkpoint, under the same names.

    Attributes:
        ids: The ids of its accepted commits.
        plain: Whether the last finished node leaves the whole context as the output.
        ended: Whether it has ended.
        generation: Of the states that one checkpoint may hold; a state of an older one is copied before it changes.
    """

    run: str
    workflow: str
    version: str
    status: str
    created: str
    correlation: str
    traceparent: str
    tags: list[object]
    started: str | None = None
    input: JsonObject | None = None
    context: JsonObject = field(default_factory=dict)
    ready: str | None = None
    open: list[list[object]] = field(default_factory=list)
    traces: int = 0
    head: str = ""
    decided: int = -1
    ids: list[str] = field(default_factory=list)
    plain: bool = False
    ended: bool = False
    generation: int = 0

    def copy(self, generation: int) -> "OpenRun":
        """Return a state with the same contents, for this generation."""
        copy = OpenRun(**{name: getattr(self, name) for name in _FIELDS})
        copy.generation = generation
        return copy

    def save(self) -> dict[str, object]:
        """Return it as JSON."""
        return {name: getattr(self, name) for name in _FIELDS}

    @classmethod
    def restore(cls, saved: Mapping[str, object]) -> "OpenRun":
        """Return what `save` gave; whoever goes on counts generations anew."""
        return cls(**cast("dict[str, str]", {**saved, "generation": 0}))  # type: ignore[arg-type]  # written by `save`


_FIELDS: Final = tuple(each.name for each in fields(OpenRun))


def created(run: str, time: str, event: Event, generation: int, found: Found) -> OpenRun:
    """Return the run that a first event makes.

    Raises:
        UnreadableError: It is no `run.created`.
    """
    kind = event.get("type")
    if kind != "run.created":
        if not is_known(kind):
            found(Rule.EVENT_UNKNOWN, f"found an event of type {kind!r}")
        else:
            found(Rule.RUN_CREATED, f"expected the run to begin with run.created, but found {kind}")
        raise UnreadableError
    _require(event, "run.created", found)
    return OpenRun(
        run,
        cast("str", event["workflow"]),
        cast("str", event["version"]),
        CREATED,
        time,
        cast("str", event["correlation"]),
        cast("str", event.get("traceparent", "")),
        cast("list[object]", event.get("tags", [])),
        generation=generation,
    )


def fold(run: OpenRun, events: Sequence[Event], time: str, graph: Graph | None, found: Found) -> None:
    """Change a run by the events of a commit, and tell of every rule that they break.

    Args:
        run: Is changed.
        events: What happened, without the `run.created` that made the run.
        time: When.
        graph: The run's workflow version, or None where it is missing.
        found: Told of violations.

    Raises:
        UnreadableError: An event cannot be folded.
    """
    for event in events:
        kind = event.get("type")
        if not is_known(kind):
            found(Rule.EVENT_UNKNOWN, f"found an event of type {kind!r}")
            raise UnreadableError
        if run.ended:
            found(Rule.AFTER_END, f"expected nothing behind the end of the run, but found {kind}")
        _require(event, cast("str", kind), found)
        _STEPS[cast("str", kind)](run, event, time, graph, found)
    if run.status == RUNNING and run.ready is None and not run.open:
        found(Rule.RUN_STUCK, "expected a node under way, a node to enter or the end behind the commit")


def _require(event: Event, kind: str, found: Found) -> None:
    if problem := event_problem(event, kind):
        found(Rule.VALUE_MALFORMED, problem)
        raise UnreadableError


def _created_again(_run: OpenRun, _event: Event, _time: str, _graph: Graph | None, found: Found) -> None:
    found(Rule.RUN_CREATED, "expected run.created once, but found a second one")
    raise UnreadableError


def _started(run: OpenRun, event: Event, time: str, graph: Graph | None, found: Found) -> None:
    if run.status != CREATED or run.traces:
        found(Rule.RUN_STARTED, f"expected run.started once and before any trace, but the run is in {run.status}")
    if graph is not None and event["next"] != graph.start:
        found(Rule.TRACE_PATH, f"expected the start node {graph.start!r} next, but found {event['next']!r}")
    run.status = RUNNING
    run.started = time
    run.input = run.context = cast("JsonObject", event["context"])
    run.ready = cast("str", event["next"])


def _trace_started(run: OpenRun, event: Event, time: str, graph: Graph | None, found: Found) -> None:
    number, attempt = cast("int", event["trace"]), cast("int", event["attempt"])
    executor = event.get("executor", "")
    if run.status == CREATED:
        found(Rule.RUN_STARTED, f"expected run.started before trace {number}")
    if graph is not None:
        node = graph.nodes.get(cast("str", event["node"]))
        if node is None or (node.type, node.title) != (event["node_type"], event["title"]):
            found(Rule.TRACE_PATH, f"expected a node of the workflow, with its type and title, but found {event!r}")
    if attempt != 1:
        _retried(run, event, executor, found)
        return
    if number != run.traces + 1:
        found(Rule.TRACE_NUMBER, f"expected trace {run.traces + 1}, but found {number}")
    if graph is not None and number > graph.limit:
        found(Rule.TRACE_NUMBER, f"expected at most {graph.limit} traces, but found trace {number}")
    if event["node"] != run.ready:
        found(Rule.TRACE_PATH, f"expected node {run.ready!r}, but trace {number} is of {event['node']!r}")
    run.ready = None
    run.open = [*run.open, [number, event["node"], event["node_type"], event["title"], 1, executor, time]]
    run.traces = number


def _retried(run: OpenRun, event: Event, executor: object, found: Found) -> None:
    number, attempt = cast("int", event["trace"]), cast("int", event["attempt"])
    index = _index(run, number)
    if index is None:
        found(Rule.TRACE_NOT_OPEN, f"expected trace {number} to be open for attempt {attempt}, but it is not")
        return
    trace = list(run.open[index])
    if attempt != cast("int", trace[_ATTEMPT]) + 1:
        found(
            Rule.TRACE_ATTEMPT, f"expected attempt {cast('int', trace[_ATTEMPT]) + 1} of trace {number}, not {attempt}"
        )
    if (trace[_NODE], trace[_TYPE]) != (event["node"], event["node_type"]):
        found(Rule.TRACE_PATH, f"expected node {trace[_NODE]!r} in trace {number}, but found {event['node']!r}")
    trace[_ATTEMPT], trace[_EXECUTOR] = attempt, executor
    run.open = [*run.open[:index], trace, *run.open[index + 1 :]]


def _trace_succeeded(run: OpenRun, event: Event, _time: str, graph: Graph | None, found: Found) -> None:
    trace = _close(run, event, found)
    if changes := cast("list[object]", event["changes"]):
        try:
            run.context = changed(run.context, changes)
        except ChangeError as error:
            found(Rule.CONTEXT_CHANGE, f"expected changes that fit the context, but {error}")
            raise UnreadableError from error
    output = cast("str | None", event["output"])
    run.ready = cast("str | None", event["next"])
    run.plain = output is not None
    node = graph.nodes.get(cast("str", trace[_NODE])) if graph is not None and trace is not None else None
    if node is not None:
        run.plain = run.plain or node.plain_end
        target = None if output is None else node.targets.get(output)
        if run.ready != target:
            found(Rule.TRACE_PATH, f"expected output {output!r} to lead to {target!r}, but found {run.ready!r}")


def _trace_ended(run: OpenRun, event: Event, _time: str, _graph: Graph | None, found: Found) -> None:
    _close(run, event, found)


def _run_ended(run: OpenRun, event: Event, _time: str, _graph: Graph | None, found: Found) -> None:
    kind = cast("str", event["type"])
    if run.open:
        found(Rule.TRACE_LEFT_OPEN, f"expected no open trace at {kind}, but {[each[_NUMBER] for each in run.open]} are")
    if kind == "run.succeeded":
        if run.status != RUNNING or run.ready is not None:
            found(Rule.TRACE_PATH, f"expected a run at the end of its path to succeed, but {run.ready!r} comes next")
        whole = run.plain
    else:
        whole = True
    if whole and not same(event["output"], run.context):
        found(Rule.OUTPUT_DIFFERS, f"expected the context as the output of {kind}, but it is another")
    run.status = _ENDED[kind]
    run.ready = None
    run.ended = True


def _refused(_run: OpenRun, _event: Event, _time: str, _graph: Graph | None, _found: Found) -> None:
    """A refusal changes nothing."""


_Step = Callable[[OpenRun, Event, str, Graph | None, Found], None]
_STEPS: Final[Mapping[str, _Step]] = {
    "run.created": _created_again,
    "run.started": _started,
    "trace.started": _trace_started,
    "trace.succeeded": _trace_succeeded,
    "trace.failed": _trace_ended,
    "trace.cancelled": _trace_ended,
    **dict.fromkeys(TERMINAL, _run_ended),
    "command.refused": _refused,
}


def _index(run: OpenRun, number: int) -> int | None:
    return next((index for index, trace in enumerate(run.open) if trace[_NUMBER] == number), None)


def _close(run: OpenRun, event: Event, found: Found) -> list[object] | None:
    number = cast("int", event["trace"])
    index = _index(run, number)
    if index is None:
        found(Rule.TRACE_NOT_OPEN, f"expected trace {number} to be open at {event['type']}, but it is not")
        return None
    trace = run.open[index]
    run.open = run.open[:index] + run.open[index + 1 :]
    return trace
