"""The kinds of records, by topic: what each is for, and the types of its headers and of its value."""

from typing import Final, NamedTuple

from engine.core.checkpoint import PartValue
from engine.core.commands import CancelRun, Command, CreateRun, StartRun
from engine.core.identity import RUN_ID_PATTERN
from engine.core.records import FENCE_KEY, PART_KEY, CommitValue, FenceValue
from engine.log.port import COMMANDS, EVENTS, PARKED, REJECTIONS, WORKFLOWS
from engine.schemas.headers import (
    CallsHeaders,
    CommandHeaders,
    CommitHeaders,
    FenceHeaders,
    HostHeaders,
    ParkedHeaders,
    PartHeaders,
    RejectionHeaders,
    WorkflowHeaders,
)
from engine.schemas.parked import (
    CALLS_KEY,
    HOST_KEY,
    PARKED_KEY,
    HostAnnouncement,
    NotedCalls,
    ParkedChange,
)
from engine.workflow.definition import WorkflowDefinition


class Message(NamedTuple):
    """One kind of record.

    Attributes:
        name: As in the AsyncAPI document.
        topic: Where it stands.
        title: Words for people.
        summary: What it is for.
        key: JSON Schema of the record's key, or None for any.
        headers: The type of the headers.
        value: The type of the value, or None for any bytes.
        correlation: Where the correlation id is, as an AsyncAPI runtime expression; empty for nowhere.
        example: One of them, when it is something that others write.
    """

    name: str
    topic: str
    title: str
    summary: str
    key: dict[str, str] | None
    headers: type
    value: type | None
    correlation: str = ""
    example: Command | None = None


_RUN_ID: Final = {"type": "string", "pattern": RUN_ID_PATTERN}
_CORRELATED: Final = "$message.payload#/correlation"
_RUN: Final = "01a2051f-8be2-7920-9513-584d749a374a"
_CONTEXT: Final[dict[str, object]] = {"order": {"number": 42, "due": {"$type": "date", "value": "2026-03-01"}}}

MESSAGES: Final = (
    Message(
        "workflowVersion", WORKFLOWS, "Workflow version",
        "A published version of a workflow: its definition as canonical JSON, with all fields written out.",
        {"type": "string", "pattern": "^.+/[0-9a-f]{64}$"}, WorkflowHeaders, WorkflowDefinition,
    ),
    Message(
        "createRun", COMMANDS, "Create a run",
        "Asks for a run of a published workflow. The same command again changes nothing.",
        _RUN_ID, CommandHeaders, CreateRun, _CORRELATED,
        CreateRun(id="order-42-create", run=_RUN, workflow="order", tags=["urgent"]),
    ),
    Message(
        "startRun", COMMANDS, "Start a run",
        "Asks for a start of a run; with a workflow the run is created first. The same command again changes nothing.",
        _RUN_ID, CommandHeaders, StartRun, _CORRELATED,
        StartRun(id="order-42-start", run=_RUN, workflow="order", context=_CONTEXT),
    ),
    Message(
        "cancelRun", COMMANDS, "Cancel a run",
        "Asks for the end of a run.",
        _RUN_ID, CommandHeaders, CancelRun, _CORRELATED,
        CancelRun(id="order-42-cancel", run=_RUN, reason="the customer called"),
    ),
    Message(
        "commit", EVENTS, "Commit",
        "All events of one decision about one run. It counts when its epoch is that of the last fence before it and "
        "its prev is the run's last commit that counts; else a reader skips it.",
        _RUN_ID, CommitHeaders, CommitValue, "$message.header#/correlationid",
    ),
    Message(
        "fence", EVENTS, "Fence",
        "An executor takes the partition: what others still write behind it does not count. Readers that want only "
        "facts read it for the epoch it begins.",
        {"type": "string", "const": FENCE_KEY}, FenceHeaders, FenceValue,
    ),
    Message(
        "checkpointPart", EVENTS, "Checkpoint part",
        "A part of the partition's state at one instant, so that nobody must read the log from its beginning.",
        {"type": "string", "const": PART_KEY}, PartHeaders, PartValue,
    ),
    Message(
        "rejection", REJECTIONS, "Rejection",
        "A command that was refused, or bytes that hold none: as they came, with the reason in the headers.",
        None, RejectionHeaders, None,
    ),
    Message(
        "parkedChange", PARKED, "Parked change",
        "A change that a progress service could not deal with, until people decide. Without a value it is done with.",
        {"type": "string", "pattern": PARKED_KEY}, ParkedHeaders, ParkedChange,
    ),
    Message(
        "notedCalls", PARKED, "Calls written down",
        "What hosts of a group that died are about to call in a partition. Without a value there is nothing to note.",
        {"type": "string", "pattern": CALLS_KEY}, CallsHeaders, NotedCalls,
    ),
    Message(
        "hostAnnouncement", PARKED, "A host announces itself",
        "A host tells the others of its group which services it calls.",
        {"type": "string", "pattern": HOST_KEY}, HostHeaders, HostAnnouncement,
    ),
)  # fmt: skip
