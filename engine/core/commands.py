"""Commands: requests to the engine, from any producer in any language. They may be refused.

A command is one JSON object on the `commands` topic, keyed by run id. Its `format` is the version of this document:
whoever writes a field that is not here raises it, so that a program that does not know the field refuses the command.
"""

import json
import re
from typing import Annotated, Final, Literal, cast

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from engine.context.check import check_wire
from engine.context.values import WireObject, shown
from engine.core.identity import RUN_ID_PATTERN
from engine.core.rejection import OVERSIZED, UNDECODABLE, Rejection
from engine.core.traceparent import is_traceparent
from engine.errors import ContextError
from engine.limits import (
    ERROR_MESSAGE_CHARACTERS_MAX,
    ID_CHARACTERS_MAX,
    INTEGER_MAX,
    INTEGER_MIN,
    RECORD_BYTES_MAX,
    RUN_TAGS_MAX,
    TAG_CHARACTERS_MAX,
)
from engine.log.port import Record

FORMAT: Final = 1
"""The only format of commands so far, and the one of a command that names none."""

_Id = Annotated[str, Field(min_length=1, max_length=ID_CHARACTERS_MAX)]
_RunId = Annotated[str, Field(pattern=RUN_ID_PATTERN)]
_DIGITS: Final = bytes(ord("0") if chr(code).isascii() and chr(code).isdecimal() else ord(" ") for code in range(256))
"""Turns every digit into the same one and everything else into a blank."""
_LONG: Final = b"0" * len(str(INTEGER_MAX))
_CONTROL: Final = re.compile(r"[\u0000-\u001f\u007f-\u009f]")


def _shown_in_one_line(tag: str) -> str:
    """Refuse control characters: they would make a mess of every list that a tag is shown in."""
    if _CONTROL.search(tag):
        raise ValueError(f"expected no control characters, but found {tag!r}")
    return tag


def _different(tags: list[str]) -> list[str]:
    """Refuse a tag that stands twice: it says nothing, so something else was meant."""
    for tag in tags:
        if tags.count(tag) > 1:
            raise ValueError(f"expected different tags, but found {tag!r} twice")
    return tags


_Tag = Annotated[
    str,
    # Said the other way round in the schema: what `$` means differs from one reader of schemas to the next.
    Field(min_length=1, max_length=TAG_CHARACTERS_MAX, json_schema_extra={"not": {"pattern": _CONTROL.pattern}}),
    AfterValidator(_shown_in_one_line),
]
_Tags = Annotated[
    list[_Tag], Field(max_length=RUN_TAGS_MAX, json_schema_extra={"uniqueItems": True}), AfterValidator(_different)
]


class _Command(BaseModel):
    """What all commands have: their own id, which comes back in events and rejections, and the run's id."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal[1] = Field(default=FORMAT, description="The version of this document.")
    id: _Id = Field(description="The command's own id, which comes back in events and rejections.")
    run: _RunId = Field(description="The run's id, a UUID of version 7 in lower case; also the record's key.")
    correlation: _Id | None = Field(
        default=None, description="Comes back in every commit of the run that this command creates; else the run's id."
    )
    traceparent: str | None = Field(
        default=None,
        max_length=ID_CHARACTERS_MAX,
        description="W3C trace context of whoever creates the run. A text that is none is ignored.",
    )


class CreateRun(_Command):
    """Create a run of a published workflow: of the given version, or of the newest one of this id."""

    type: Literal["run.create"] = "run.create"
    workflow: _Id = Field(description="The id of a published workflow.")
    version: _Id | None = Field(default=None, description="One of its versions; the newest unless given.")
    tags: _Tags | None = Field(default=None, description="What the run is found by; nothing unless given.")


class StartRun(_Command):
    """Start a run with an initial context; with `workflow` it is created first if it does not exist."""

    type: Literal["run.start"] = "run.start"
    context: dict[str, object] = Field(default_factory=dict, description="The initial context; empty unless given.")
    workflow: _Id | None = Field(
        default=None, description="The id of a published workflow; needed when the run does not exist yet."
    )
    version: _Id | None = Field(default=None, description="One of its versions; the newest unless given.")
    tags: _Tags | None = Field(
        default=None, description="What the run is found by; nothing, or what it was created with, unless given."
    )


class CancelRun(_Command):
    """Cancel a run that has not ended."""

    type: Literal["run.cancel"] = "run.cancel"
    reason: str = Field(default="", max_length=ERROR_MESSAGE_CHARACTERS_MAX, description="Why, for people.")


Command = CreateRun | StartRun | CancelRun

TAGS: TypeAdapter[list[str]] = TypeAdapter(_Tags, config=ConfigDict(strict=True))
ADAPTER: TypeAdapter[Command] = TypeAdapter(Annotated[Command, Field(discriminator="type")])


def encode(command: Command) -> bytes:
    """Return the command as it stands on the log."""
    return orjson.dumps({name: value for name, value in command.__dict__.items() if value is not None})


def command_record(command: Command, source: str) -> Record:
    """Return the record of a command, as a CloudEvent in Kafka's binary mode.

    Other producers need none of these headers: the engine reads the value.

    Args:
        command: What is asked.
        source: The `ce_source`: who asks, as a URI reference.
    """
    return Record(
        command.run,
        encode(command),
        {
            "ce_specversion": "1.0",
            "ce_id": command.id,
            "ce_type": command.type,
            "ce_source": source,
            "ce_subject": command.run,
            "content-type": "application/json",
        },
    )


def decode(value: bytes) -> Command | Rejection:
    """Return the command in these bytes, or why they hold none: any bytes get an answer.

    A `traceparent` that is none is left out, as W3C Trace Context asks: it is no reason to refuse, and goes no further.
    """
    if len(value) > RECORD_BYTES_MAX:
        return Rejection(OVERSIZED, f"expected at most {RECORD_BYTES_MAX} bytes, but found {len(value)}")
    try:
        given = orjson.loads(value)
        # Asked first: what is unknown in a later format would only say that one of its fields is.
        if isinstance(given, dict) and ((found := given.get("format", FORMAT)) is True or found != FORMAT):
            return Rejection(UNDECODABLE, f"expected a command of format {FORMAT}, but found format {shown(found)}")
        command = ADAPTER.validate_python(given)
        if isinstance(command, StartRun):
            check_wire(context_of(command), unknown_types=True)
            if _LONG in value.translate(_DIGITS):
                # Where an integer has more than 64 bits the reader above has made a rounded number of it.
                json.loads(value, parse_int=_of_64_bits)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "command"
        return _undecodable(f"expected a command, but at {place}: {first['msg']}")
    except (ValueError, ContextError, RecursionError) as error:
        return _undecodable(f"expected a command as JSON, but {error}")
    if command.traceparent is not None and not is_traceparent(command.traceparent):
        # Here and not where runs are made, because logs hold runs that carry on such a text, and are decided once more.
        return command.model_copy(update={"traceparent": None})
    return command


def _undecodable(reason: str) -> Rejection:
    """Return the rejection of bytes that hold no command: its reason may repeat as much of them as it likes."""
    # No record keeps more, so nobody need hold more until it is written.
    return Rejection(UNDECODABLE, reason[:ERROR_MESSAGE_CHARACTERS_MAX])


def _of_64_bits(digits: str) -> int:
    if len(digits) > len(str(INTEGER_MIN)) or not INTEGER_MIN <= int(digits) <= INTEGER_MAX:
        raise ValueError(f"expected integers of signed 64 bits, but found {shown(digits, 40)}")
    return int(digits)


def context_of(command: StartRun) -> WireObject:
    """Return the initial context of a start command as a wire object."""
    # Whoever made the command checked it: `decode` what comes from the log, the caller what it sends.
    return cast("WireObject", command.context)
