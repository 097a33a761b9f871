"""What `decide` is given about a run, and what it answers."""

from collections.abc import Sequence
from typing import NamedTuple

from engine.context.values import Change
from engine.core.commands import Command
from engine.core.rejection import Rejection
from engine.nodes.node_type import Failed


class Asked(NamedTuple):
    """A command from the log.

    Attributes:
        command: What is asked.
        value: Its bytes as they came.
        offset: Its offset in `commands`.
        clock: The highest timestamp of `commands` up to and including it, in milliseconds.
    """

    command: Command
    value: bytes
    offset: int
    clock: int


class Outcome(NamedTuple):
    """A node's work came to an end outside the core: with changes and an output, or with an error.

    The changes and the message were checked where they were made: the changes fit the context, and leave one within its
    limits; the message is a text within its limit.
    """

    trace: int
    attempt: int
    changes: Sequence[Change]
    output: str
    error: Failed | None
    message: str = ""


class Lost(NamedTuple):
    """These open traces are worked on by nobody any more: try them again."""

    traces: tuple[int, ...]


class GoOn(NamedTuple):
    """The state says what is next."""


Input = Asked | Outcome | Lost | GoOn


class Refused(NamedTuple):
    """A command that is refused directly, because no open run could record it."""

    asked: Asked
    rejection: Rejection


class Decision(NamedTuple):
    """What is to be appended, and what became of the inputs.

    Attributes:
        events: The events of the commit, encoded; none when nothing changes.
        types: Their types, separated by commas.
        causation: The id of the first command that caused them, or an empty text.
        decided: The highest `commands` offset among the inputs that the events decide, or None.
        refused: The refusal that has to be acknowledged before this run goes on, or None.
        recognised: Commands that change nothing: what they ask for was done before.
        left: Inputs for the next commit.
        steps: What the nodes took, as `engine.meter` counts.
    """

    events: Sequence[bytes]
    types: str
    causation: str
    decided: int | None
    refused: Refused | None
    recognised: Sequence[Asked]
    left: Sequence[Input]
    steps: int = 0
