"""Checkpoints: the state of a partition at one instant, as parts of bounded size for its own log."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final, NotRequired

import orjson
from typing_extensions import TypedDict

from engine.context.values import WireObject
from engine.core.state import OpenTrace, RunState, RunStatus
from engine.core.view import outlived
from engine.errors import LogDamagedError
from engine.limits import CHECKPOINT_PART_BYTES


class OpenRun(TypedDict):
    """A run's state as it stands in a part.

    `context` is null while it is the input; `tags` is there if it has any; `open` has each open trace's number, node,
    node type, title, attempt, executor and start, in this order.
    """

    run: str
    workflow: str
    version: str
    status: str
    created: str
    started: str | None
    correlation: str
    traceparent: str
    tags: NotRequired[list[str]]
    input: WireObject | None
    context: WireObject | None
    ready: str | None
    open: list[list[str | int]]
    traces: int
    head: str
    decided: int


EMPTY_PART: Final = b'{"runs":[],"ended":{}}'
"""The value of a part that only completes a checkpoint."""


class PartValue(TypedDict):
    """The value of a checkpoint part: open runs, and for ended ones the highest `commands` offset they decided."""

    runs: list[OpenRun]
    ended: dict[str, int]


def part_values(
    runs: Mapping[str, RunState], ended: Mapping[str, int], *, commands: int, clock: int
) -> Iterator[bytes]:
    """Yield the values of a checkpoint's parts, at least one; ended runs that may be forgotten are left out.

    Args:
        runs: The open runs at one instant; not to be changed before the last part was taken.
        ended: The ended runs at that instant; the same.
        commands: C of the checkpoint, see `PartHeading`.
        clock: T of the checkpoint.
    """
    if gone := outlived(ended, commands, clock):
        ended = dict(ended)
        for run_id in gone:
            del ended[run_id]
    encoded: list[bytes] = []
    size = 0
    for state in runs.values():
        item = orjson.dumps(_encode(state))
        if encoded and size + len(item) > CHECKPOINT_PART_BYTES:
            yield _part(encoded, b"{}")
            encoded, size = [], 0
        encoded.append(item)
        size += len(item)
    if encoded or not ended:
        yield _part(encoded, b"{}")
    for chunk in _chunks(ended):
        yield _part([], orjson.dumps(chunk))


def read_part_value(value: bytes) -> tuple[dict[str, RunState], dict[str, int]]:
    """Return the open runs and the ended ones that a part holds.

    Raises:
        LogDamagedError: The bytes are no checkpoint part.
    """
    try:
        part: PartValue = orjson.loads(value)
        return {item["run"]: _decode(item) for item in part["runs"]}, part["ended"]
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise LogDamagedError(f"expected a checkpoint part, but found {value[:80]!r}") from error


_ENDED_BYTES = 60
"""Bytes of one ended run in a part, about: its id, its offset and what JSON needs around them."""


def _chunks(ended: Mapping[str, int]) -> Iterator[dict[str, int]]:
    size = CHECKPOINT_PART_BYTES // _ENDED_BYTES
    items = iter(ended.items())
    while chunk := dict(islice(items, size)):
        yield chunk


def _part(encoded: list[bytes], ended: bytes) -> bytes:
    return b'{"runs":[%b],"ended":%b}' % (b",".join(encoded), ended)


def _encode(state: RunState) -> OpenRun:
    item: OpenRun = {
        "run": state.run_id,
        "workflow": state.workflow,
        "version": state.version,
        "status": state.status.value,
        "created": state.created,
        "started": state.started,
        "correlation": state.correlation,
        "traceparent": state.traceparent,
        "input": state.input,
        "context": None if state.context is state.input else state.context,
        "ready": state.ready,
        "open": [list(trace) for trace in state.open],
        "traces": state.traces,
        "head": state.head,
        "decided": state.decided,
    }
    if state.tags:
        item["tags"] = list(state.tags)
    return item


def _decode(item: OpenRun) -> RunState:
    given = item["input"]
    context = item["context"]
    if context is None:
        context = {} if given is None else given
    return RunState(
        run_id=item["run"],
        workflow=item["workflow"],
        version=item["version"],
        status=RunStatus(item["status"]),
        created=item["created"],
        started=item["started"],
        stopped=None,
        correlation=item["correlation"],
        traceparent=item["traceparent"],
        tags=tuple(item.get("tags", ())),
        input=given,
        context=context,
        output=None,
        error=None,
        reason="",
        ready=item["ready"],
        open=tuple(OpenTrace._make(trace) for trace in item["open"]),
        traces=item["traces"],
        head=item["head"],
        decided=item["decided"],
    )
