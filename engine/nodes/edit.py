"""The edit node: moves, copies, sets and deletes values of the context."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from engine.context.changes import difference
from engine.context.draft import Draft
from engine.context.errors import ContextCountError, ContextDepthError, ContextSizeError
from engine.context.paths import find, parse
from engine.context.values import MISSING, WireObject
from engine.errors import ContextError
from engine.expressions import Evaluator, ExpressionError
from engine.meter import Meter, StepsError
from engine.nodes.fields import ExpressionText, Items, Literal, PathText, entries, unknown_types
from engine.nodes.node_type import Configuration, Done, Failed, NodeType, Problem, Step

if TYPE_CHECKING:
    from engine.registry import Registry


class SourceMissingError(ContextError):
    """Nothing stands where a value is to be moved or copied from."""

    code = "source_missing"


class Transfer(Configuration):
    """A value that is moved or copied.

    Attributes:
        source: Its path; `from` in files.
        to: The path it gets.
        optional: Whether nothing is done when nothing stands at `source`; otherwise the node fails.
    """

    source: PathText = Field(validation_alias="from", serialization_alias="from")
    to: PathText
    optional: bool = False


class Setting(Configuration):
    """A value that is set: one of `value` and `expression`.

    Attributes:
        path: Where.
        value: As it is; null is a value.
        expression: JMESPath over the context as the settings before have left it.
    """

    path: PathText
    value: Literal = None
    expression: ExpressionText | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "Setting":
        for message in _not_one_of_both({name: getattr(self, name) for name in self.model_fields_set}):
            raise ValueError(message)
        return self


def _not_one_of_both(setting: Mapping[str, object]) -> Iterator[str]:
    given = [name for name in ("value", "expression") if name in setting]
    if len(given) != 1 or (given == ["expression"] and setting["expression"] is None):
        yield f"expected either 'value' or 'expression', found {' and '.join(given) or 'neither'}"


class EditConfiguration(Configuration):
    """The configuration of an edit node; done in the order of the attributes, each list in its own order.

    Attributes:
        move: Values that change their place.
        copies: Values that are put to a second place; `copy` in files.
        set: Values that are put in.
        delete: Paths that are removed; one where nothing stands is ignored.
    """

    move: Items[Transfer] = ()
    copies: Items[Transfer] = Field(default=(), validation_alias="copy", serialization_alias="copy")
    set: Items[Setting] = ()
    delete: Items[PathText] = ()


class Edit(NodeType[EditConfiguration]):
    """Changes of the context that need no code."""

    name = "edit"
    configuration = EditConfiguration

    def check_data(self, data: Mapping[str, object], registry: "Registry | None") -> Iterable[Problem]:
        """Yield a problem for each setting of both or nothing, and for types in values that are not registered."""
        for index, entry in enumerate(entries(data, "set")):
            if entry and entry.keys() <= Setting.model_fields.keys():
                for message in _not_one_of_both(entry):
                    yield Problem(f"set.{index}", message)
            if registry is not None:
                for message in unknown_types(entry.get("value"), registry.converters):
                    yield Problem(f"set.{index}.value", message)

    def decide(self, configuration: EditConfiguration, context: WireObject) -> Step:
        """Move, copy, set and delete, in this order; all or nothing."""
        meter = Meter()
        draft = Draft(context, meter)
        evaluator = Evaluator(meter)
        action = ""
        try:
            for verb, transfers in (("move", configuration.move), ("copy", configuration.copies)):
                for transfer in transfers:
                    action = f"{verb} '{transfer.source}' to '{transfer.to}'"
                    _transfer(draft, transfer, removing=verb == "move")
            for setting in configuration.set:
                action = f"set '{setting.path}'"
                value = (
                    setting.value if setting.expression is None else evaluator.search(setting.expression, draft.context)
                )
                draft.set(parse(setting.path), value)
            for path in configuration.delete:
                action = f"delete '{path}'"
                draft.remove(parse(path))
        except (ContextSizeError, ContextCountError, ContextDepthError) as error:
            return Failed(error.code, f"cannot {action}: {error}")
        except (ContextError, ExpressionError, LookupError, StepsError) as error:
            return Failed("edit_failed", f"cannot {action}: {error}")
        return Done(difference(context, draft.context), steps=meter.steps)


def _transfer(draft: Draft, transfer: Transfer, *, removing: bool) -> None:
    source = parse(transfer.source)
    value = find(draft.context, source)
    if value is MISSING:
        if transfer.optional:
            return
        raise SourceMissingError(f"expected a value at '{transfer.source}', found nothing")
    if removing:
        draft.remove(source)
    draft.set(parse(transfer.to), value)
