"""The end node: ends a path and says what the output is."""

from collections import abc
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from engine.context.draft import Draft
from engine.context.errors import ContextCountError, ContextDepthError, ContextSizeError
from engine.context.paths import find, parse
from engine.context.values import MISSING, WireObject
from engine.errors import ContextError
from engine.meter import Meter, StepsError
from engine.nodes.fields import Items, PathText, entries, repeated
from engine.nodes.node_type import Configuration, Ended, Failed, NodeType, Problem, Step

if TYPE_CHECKING:
    from engine.registry import Registry


class Mapping(Configuration):
    """A value of the context that becomes a value of the output.

    Attributes:
        source: Its path in the context; `from` in files.
        to: Its path in the output.
    """

    source: PathText = Field(validation_alias="from", serialization_alias="from")
    to: PathText


class EndConfiguration(Configuration):
    """The configuration of an end node.

    Attributes:
        mappings: What the output is made of, in order; without any, the context is the output.
    """

    mappings: Items[Mapping] = ()

    @model_validator(mode="after")
    def _targets_differ(self) -> "EndConfiguration":
        for message in _repeated_targets(mapping.to for mapping in self.mappings):
            raise ValueError(message)
        return self


def _repeated_targets(targets: Iterable[object]) -> Iterator[str]:
    for path, first, index in repeated(targets):
        yield f"expected each 'to' once, found '{path}' in mappings {first} and {index}"


class End(NodeType[EndConfiguration]):
    """Where a path ends; a workflow may have none or several."""

    name = "end"
    configuration = EndConfiguration

    def outputs(self, configuration: EndConfiguration) -> tuple[str, ...]:  # noqa: ARG002 - the same for all
        """Return none: nothing comes after."""
        return ()

    def outputs_in(self, data: abc.Mapping[str, object]) -> tuple[str, ...]:  # noqa: ARG002 - the same for all
        """Return none."""
        return ()

    def check_data(
        self,
        data: abc.Mapping[str, object],
        registry: "Registry | None",  # noqa: ARG002 - needs none
    ) -> Iterable[Problem]:
        """Yield a problem for each `to` that stands twice."""
        for message in _repeated_targets(entry.get("to") for entry in entries(data, "mappings")):
            yield Problem("", message)

    def decide(self, configuration: EndConfiguration, context: WireObject) -> Step:
        """End the path with the mapped values, or with the whole context."""
        if not configuration.mappings:
            return Ended(context)
        draft = Draft({}, Meter())
        skipped: list[str] = []
        for mapping in configuration.mappings:
            value = find(context, parse(mapping.source))
            if value is MISSING:
                skipped.append(mapping.source)
                continue
            try:
                draft.set(parse(mapping.to), value)
            except (ContextSizeError, ContextCountError, ContextDepthError) as error:
                return Failed(error.code, f"cannot map '{mapping.source}' to '{mapping.to}': {error}")
            except (ContextError, StepsError) as error:
                return Failed("mapping_failed", f"cannot map '{mapping.source}' to '{mapping.to}': {error}")
        if not skipped:
            return Ended(draft.context)
        count = f"{len(skipped)} of {len(configuration.mappings)}"
        return Ended(draft.context, f"{count} mappings skipped, nothing stands at: {', '.join(skipped)}")
