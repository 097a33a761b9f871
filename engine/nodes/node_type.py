"""What a node type is: its configuration, its outputs, its pure step, and its work outside the core."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict

from engine.context.values import Change, WireObject

if TYPE_CHECKING:
    from engine.call import Call
    from engine.context import ContextObject
    from engine.registry import Registry

NEXT = "next"
"""The output of a node that has just one."""


class Configuration(BaseModel):
    """Base of every node type's configuration: immutable, no unknown fields, no silent conversions."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )


class Problem(NamedTuple):
    """Something wrong with a definition.

    Attributes:
        field: Where: a dotted path below the place that was checked, such as `cases.0.when`; empty for the whole.
        message: What was expected, and what was found.
    """

    field: str
    message: str


class Done(NamedTuple):
    """The node is finished.

    Attributes:
        changes: What it changed in the context, in order.
        output: The output to leave by, or None to end the path here.
        message: A few words for people.
        steps: What it took, as `engine.meter` counts; a commit enters no further node when its nodes took many.
    """

    changes: Sequence[Change] = ()
    output: str | None = NEXT
    message: str = ""
    steps: int = 0


class Ended(NamedTuple):
    """The path ends here with this output context."""

    output: WireObject
    message: str = ""


class Failed(NamedTuple):
    """The node failed.

    Attributes:
        type: A stable word, or the name of the exception's class.
        message: What was expected, and what was found.
    """

    type: str
    message: str


class Work(NamedTuple):
    """Something outside the core must happen: `NodeType.execute` is called."""


class Left(NamedTuple):
    """How a node was left whose work is done.

    Attributes:
        output: The output to leave by.
        message: A few words for people.
    """

    output: str
    message: str = ""


Step = Done | Ended | Failed | Work

ConfigurationT = TypeVar("ConfigurationT", bound=Configuration)


class NodeType(ABC, Generic[ConfigurationT]):
    """One kind of node. An instance holds no state: one serves all nodes of all workflows."""

    name: ClassVar[str]
    """The word in a definition's `type` field."""
    configuration: type[ConfigurationT]
    """The model of a definition's `configuration` field."""

    def configure(self, data: Mapping[str, object]) -> ConfigurationT:
        """Return the configuration that stands in a definition.

        Raises:
            pydantic.ValidationError: The data does not fit the model.
        """
        return self.configuration.model_validate(data, by_alias=True, by_name=False)

    def outputs(self, configuration: ConfigurationT) -> Sequence[str]:  # noqa: ARG002 - for subclasses
        """Return the names of the outputs that connections may leave by."""
        return (NEXT,)

    def outputs_in(self, data: Mapping[str, object]) -> Sequence[str] | None:  # noqa: ARG002 - for subclasses
        """Return the outputs of a node whose configuration the model refuses, or None when they cannot be told."""
        return (NEXT,) if type(self).outputs is NodeType.outputs else None

    def check_data(self, data: Mapping[str, object], registry: "Registry | None") -> Iterable[Problem]:  # noqa: ARG002
        """Yield what can be found in a configuration as written, whatever else the model or `check` find in it.

        A problem that they name too, in the same words at the same place, is listed once. Built-in types look here
        for what their models would not look for behind a first mistake.
        """
        return ()

    def check(self, configuration: ConfigurationT, registry: "Registry | None") -> Iterable[Problem]:  # noqa: ARG002
        """Yield what the model alone cannot find, such as functions that a given registry does not have."""
        return ()

    @abstractmethod
    def decide(self, configuration: ConfigurationT, context: WireObject) -> Step:
        """Return what happens when a path enters the node. Pure: the same arguments give the same step for ever."""

    async def execute(self, configuration: ConfigurationT, context: "ContextObject", call: "Call") -> str | Left:
        """Do the node's work outside the core and return the output to leave by; changes are made to `context`.

        `Left(output, message)` says a few words with it. Called when `decide` answered `Work()`. An exception fails the
        node.
        """
        del configuration, context, call
        raise AssertionError(f"node type {self.name} asked for work and has none")
