"""The headers of our records, by the kind of record, as types. All values are texts.

Those that begin with `ce_` and `content-type` are the attributes of CloudEvents 1.0 in Kafka's binary mode; the others
are the log's own.
"""

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from engine.core.identity import RUN_ID_PATTERN
from engine.core.records import NO_CHECKPOINT
from engine.core.state import GENESIS
from engine.limits import ID_CHARACTERS_MAX

_HASH = "[0-9a-f]{64}"
_NUMBER = "(0|[1-9][0-9]*)"

Text = Annotated[str, Field(min_length=1)]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"}, description="RFC 3339 time in UTC.")]
Source = Annotated[
    str, Field(min_length=1, json_schema_extra={"format": "uri-reference"}, description="Who wrote the record.")
]
CommitSource = Annotated[
    str,
    Field(
        min_length=1,
        json_schema_extra={"format": "uri-reference"},
        description="Who wrote the record, `/workflows/`, and the id of the run's workflow. Early versions of Runline "
        "and other writers name no workflow.",
    ),
]
Number = Annotated[str, Field(pattern=f"^{_NUMBER}$")]
RunId = Annotated[str, Field(pattern=RUN_ID_PATTERN, description="The run's id.")]
Hash = Annotated[str, Field(pattern=f"^{_HASH}$")]
Epoch = Annotated[
    str,
    Field(pattern=f"^{_NUMBER}:.+$", description="The fence under which it was written: its offset and its nonce."),
]
Checkpoint = Annotated[
    str,
    Field(
        pattern=f"^({NO_CHECKPOINT}|{_NUMBER})$",
        description="The offset of the first part of the last complete checkpoint that the writer has read.",
    ),
]
Json = Annotated[Literal["application/json"], Field(alias="content-type")]


class CommandHeaders(TypedDict, total=False):
    """The headers of a command. Runline writes those of a CloudEvent; other producers need none."""

    ce_specversion: Literal["1.0"]
    ce_id: Annotated[str, Field(min_length=1, max_length=ID_CHARACTERS_MAX, description="The command's id.")]
    ce_type: Literal["run.create", "run.start", "run.cancel"]
    ce_source: Source
    ce_subject: RunId
    ce_time: Time
    content_type: Json
    forwarded: Annotated[
        str,
        Field(
            pattern=f"^{_NUMBER}/{_NUMBER}$",
            description="The partition and the offset at which the command came, when that was not the run's.",
        ),
    ]


class CommitHeaders(TypedDict):
    """The headers of a commit."""

    ce_specversion: Literal["1.0"]
    ce_id: Annotated[Hash, Field(description="SHA-256 over prev, a line feed, epoch, a line feed and the value.")]
    ce_type: Literal["runline.commit"]
    ce_source: CommitSource
    ce_subject: RunId
    ce_time: Time
    content_type: Json
    types: Annotated[str, Field(min_length=1, description="The types of the events inside, separated by commas.")]
    correlationid: Annotated[Text, Field(description="The run's id, unless the command that created it named another.")]
    causationid: NotRequired[
        Annotated[Text, Field(description="The id of the first command that caused the events, if one did.")]
    ]
    traceparent: NotRequired[
        Annotated[
            Text,
            Field(
                description="W3C trace context of the command that created the run, if it named one. Early versions of "
                "Runline carried on any text."
            ),
        ]
    ]
    epoch: Epoch
    prev: Annotated[
        str,
        Field(pattern=f"^({GENESIS}|{_HASH})$", description=f"The run's commit before, or {GENESIS} for the first."),
    ]
    decided: NotRequired[
        Annotated[Number, Field(description="The highest offset of `commands` that it decided, if it decided one.")]
    ]
    checkpoint: Checkpoint


class FenceHeaders(TypedDict):
    """The headers of a fence."""

    ce_specversion: Literal["1.0"]
    ce_id: Annotated[Text, Field(description="The nonce.")]
    ce_type: Literal["runline.fence"]
    ce_source: Source
    ce_time: Time
    content_type: Json
    nonce: Annotated[Text, Field(description="A text that nobody used before; with the fence's offset the epoch.")]
    checkpoint: Checkpoint


class PartHeaders(TypedDict):
    """The headers of a checkpoint part."""

    ce_specversion: Literal["1.0"]
    ce_id: Annotated[Hash, Field(description="SHA-256 over what the headers say of the part, and over its value.")]
    ce_type: Literal["runline.checkpoint"]
    ce_source: Source
    ce_time: Time
    content_type: Json
    epoch: Epoch
    start: Annotated[Number, Field(description="The offset of `events` below which everything is in the states.")]
    part: Annotated[Number, Field(description="The part's number, from 0.")]
    parts: Annotated[Number, Field(description="How many parts the checkpoint has.")]
    commands: Annotated[Number, Field(description="The offset of `commands` below which everything is decided.")]
    clock: Annotated[
        str,
        Field(
            pattern=f"^(-1|{_NUMBER})$",
            description="The highest time of `commands` below that offset, in milliseconds since 1970; -1 for none.",
        ),
    ]
    checkpoint: Checkpoint


class RejectionHeaders(TypedDict):
    """The headers of a rejection. The value is the refused bytes, as they came."""

    ce_specversion: Literal["1.0"]
    ce_id: Annotated[str, Field(pattern=f"^{_NUMBER}/{_NUMBER}$", description="The partition and the offset.")]
    ce_type: Literal["runline.rejection"]
    ce_source: Source
    ce_subject: NotRequired[Annotated[Text, Field(description="The key of the refused record, if it had one.")]]
    ce_time: Time
    content_type: Annotated[
        Literal["application/json", "application/octet-stream"],
        Field(alias="content-type", description="JSON when the value is a whole command; else any bytes."),
    ]
    code: Annotated[Text, Field(description="Why, as a stable word.")]
    reason: Annotated[Text, Field(description="What was expected, and what was found.")]
    partition: Annotated[Number, Field(description="Where the refused record stands in `commands`.")]
    offset: Annotated[Number, Field(description="Where the refused record stands in its partition.")]
    size: Annotated[Number, Field(description="Its bytes; more than are here when it was cut.")]
    causationid: NotRequired[Annotated[Text, Field(description="The command's id, when the bytes hold one.")]]


class WorkflowHeaders(TypedDict):
    """The headers of a published workflow version."""

    ce_specversion: Literal["1.0"]
    ce_id: Annotated[Text, Field(description="The workflow's id, a slash, and its version; also the record's key.")]
    ce_type: Literal["runline.workflow"]
    ce_source: Source
    ce_subject: Annotated[Text, Field(description="The workflow's id.")]
    ce_time: Time
    content_type: Json
    version: Annotated[Hash, Field(description="SHA-256 of the value.")]
    partitions: NotRequired[
        Annotated[
            Number,
            Field(
                description="How many partitions `commands` and `events` have, for ever. Early versions of Runline did "
                "not say."
            ),
        ]
    ]


class ParkedHeaders(TypedDict):
    """The headers of a parked change. It is for the hosts of its group, and no CloudEvent."""

    ce_type: Literal["runline.parked"]
    content_type: Json
    asked: NotRequired[
        Annotated[
            Literal["retry", "skip"], Field(description="What people ask for now; on what a host wrote there is none.")
        ]
    ]


class CallsHeaders(TypedDict):
    """The headers of calls that were written down. They are for the hosts of a group, and no CloudEvent."""

    ce_type: Literal["runline.calls"]
    content_type: Json


class HostHeaders(TypedDict):
    """The headers of what a host says of itself. It is for the others of its group, and no CloudEvent."""

    ce_type: Literal["runline.host"]
    content_type: Json
