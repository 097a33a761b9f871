"""The end node: ends a path and says what the output is."""

from pydantic import Field, model_validator

from engine.context.paths import find, parse, set_at
from engine.context.values import MISSING, WireObject
from engine.errors import ContextError
from engine.nodes.fields import Items, PathText
from engine.nodes.node_type import Configuration, Ended, Failed, NodeType, Step


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
        seen: dict[tuple[str | int, ...], int] = {}
        for index, mapping in enumerate(self.mappings):
            first = seen.setdefault(parse(mapping.to), index)
            if first != index:
                raise ValueError(f"expected each 'to' once, found '{mapping.to}' in mappings {first} and {index}")
        return self


class End(NodeType[EndConfiguration]):
    """Where a path ends; a workflow may have none or several."""

    name = "end"
    configuration = EndConfiguration

    def outputs(self, configuration: EndConfiguration) -> tuple[str, ...]:  # noqa: ARG002 - the same for all
        """Return none: nothing comes after."""
        return ()

    def decide(self, configuration: EndConfiguration, context: WireObject) -> Step:
        """End the path with the mapped values, or with the whole context."""
        if not configuration.mappings:
            return Ended(context)
        output: WireObject = {}
        skipped: list[str] = []
        for mapping in configuration.mappings:
            value = find(context, parse(mapping.source))
            if value is MISSING:
                skipped.append(mapping.source)
                continue
            try:
                output = set_at(output, parse(mapping.to), value)
            except ContextError as error:
                return Failed("mapping_failed", f"cannot map '{mapping.source}' to '{mapping.to}': {error}")
        if not skipped:
            return Ended(output)
        count = f"{len(skipped)} of {len(configuration.mappings)}"
        return Ended(output, f"{count} mappings skipped, nothing stands at: {', '.join(skipped)}")
