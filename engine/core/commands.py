"""Commands: requests to the engine, from any producer in any language. They may be refused.

A command is one JSON object on the `commands` topic, keyed by run id.
"""

from typing import Annotated, Literal, cast

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from engine.context.check import check_wire
from engine.context.values import WireObject
from engine.core.identity import RUN_ID_PATTERN
from engine.core.rejection import OVERSIZED, UNDECODABLE, Rejection
from engine.errors import ContextError
from engine.limits import ERROR_MESSAGE_CHARACTERS_MAX, ID_CHARACTERS_MAX, RECORD_BYTES_MAX

_Id = Annotated[str, Field(min_length=1, max_length=ID_CHARACTERS_MAX)]
_RunId = Annotated[str, Field(pattern=RUN_ID_PATTERN)]


class _Command(BaseModel):
    """What all commands have: their own id, which comes back in events and rejections, and the run's id."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: _Id
    run: _RunId
    correlation: _Id | None = None
    traceparent: str | None = Field(default=None, max_length=ID_CHARACTERS_MAX)


class CreateRun(_Command):
    """Create a run of a published workflow: of the given version, or of the newest one of this id."""

    type: Literal["run.create"] = "run.create"
    workflow: _Id
    version: _Id | None = None


class StartRun(_Command):
    """Start a run with an initial context; with `workflow` it is created first if it does not exist."""

    type: Literal["run.start"] = "run.start"
    context: dict[str, object] = Field(default_factory=dict)
    workflow: _Id | None = None
    version: _Id | None = None


class CancelRun(_Command):
    """Cancel a run that has not ended."""

    type: Literal["run.cancel"] = "run.cancel"
    reason: str = Field(default="", max_length=ERROR_MESSAGE_CHARACTERS_MAX)


Command = CreateRun | StartRun | CancelRun

ADAPTER: TypeAdapter[Command] = TypeAdapter(Annotated[Command, Field(discriminator="type")])


def encode(command: Command) -> bytes:
    """Return the command as it stands on the log."""
    return orjson.dumps({name: value for name, value in command.__dict__.items() if value is not None})


def decode(value: bytes) -> Command | Rejection:
    """Return the command in these bytes, or why they hold none: any bytes get an answer."""
    if len(value) > RECORD_BYTES_MAX:
        return Rejection(OVERSIZED, f"expected at most {RECORD_BYTES_MAX} bytes, but found {len(value)}")
    try:
        command = ADAPTER.validate_python(orjson.loads(value))
        if isinstance(command, StartRun):
            check_wire(context_of(command), unknown_types=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "command"
        return Rejection(UNDECODABLE, f"expected a command, but at {place}: {first['msg']}")
    except (orjson.JSONDecodeError, ContextError, RecursionError) as error:
        return Rejection(UNDECODABLE, f"expected a command as JSON, but {error}")
    return command


def context_of(command: StartRun) -> WireObject:
    """Return the initial context of a start command as a wire object."""
    # Whoever made the command checked it: `decode` what comes from the log, the caller what it sends.
    return cast("WireObject", command.context)
