"""The switch node: leaves by the first output whose condition is true."""

import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from engine.context.values import Wire, WireObject, describe
from engine.errors import RegistryError, RunlineError
from engine.expressions import ExpressionError, search
from engine.nodes.fields import ExpressionText, Items
from engine.nodes.node_type import Configuration, Done, Failed, NodeType, Problem, Step, Work
from engine.workflow.names import Name

if TYPE_CHECKING:
    from engine.call import Call
    from engine.context import ContextObject
    from engine.registry import Registry


class ConditionError(RunlineError):
    """A condition is neither true nor false."""

    code = "condition"


class Case(Configuration):
    """An output and its condition: one of `when` and `predicate`.

    Attributes:
        output: The output to leave by when the condition is true.
        when: JMESPath that gives true or false.
        predicate: The name under which a function of the context is registered.
    """

    output: Name
    when: ExpressionText | None = None
    predicate: Name | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "Case":
        if (self.when is None) == (self.predicate is None):
            found = "neither" if self.when is None else "both"
            raise ValueError(f"expected either 'when' or 'predicate', found {found}")
        return self


class SwitchConfiguration(Configuration):
    """The configuration of a switch node.

    Attributes:
        cases: In the order they are tried; those after the first true one are not evaluated.
        default: The output to leave by when no case is true.
    """

    cases: Items[Case] = Field(min_length=1)
    default: Name = "default"

    @model_validator(mode="after")
    def _outputs_differ(self) -> "SwitchConfiguration":
        seen = [self.default]
        for index, case in enumerate(self.cases):
            if case.output in seen:
                raise ValueError(f"expected each output once, found '{case.output}' again in case {index}")
            seen.append(case.output)
        return self


class Switch(NodeType[SwitchConfiguration]):
    """A decision; an output that is not connected ends the path."""

    name = "switch"
    configuration = SwitchConfiguration

    def outputs(self, configuration: SwitchConfiguration) -> tuple[str, ...]:
        """Return the outputs of the cases, then the default."""
        return (*(case.output for case in configuration.cases), configuration.default)

    def check(self, configuration: SwitchConfiguration, registry: "Registry | None") -> Iterable[Problem]:
        """Yield a problem for each predicate that is not registered."""
        if registry is None:
            return
        for index, case in enumerate(configuration.cases):
            if case.predicate is not None:
                try:
                    registry.find_predicate(case.predicate)
                except RegistryError as error:
                    yield Problem(f"cases.{index}.predicate", str(error))

    def decide(self, configuration: SwitchConfiguration, context: WireObject) -> Step:
        """Try the cases here, unless one of them needs a registered function."""
        if any(case.predicate is not None for case in configuration.cases):
            return Work()
        for case in configuration.cases:
            try:
                if _evaluated(case, context):
                    return Done(output=case.output, message=f"case '{case.output}'")
            except (ConditionError, ExpressionError) as error:
                return Failed(error.code, f"case '{case.output}': {error}")
        return Done(output=configuration.default, message="no case was true")

    async def execute(self, configuration: SwitchConfiguration, context: "ContextObject", call: "Call") -> str:
        """Try the cases in order, the predicates among them, in a thread unless they are async.

        Raises:
            RegistryError: A predicate is not registered here.
            ConditionError: A condition is neither true nor false, or a predicate changed the context.
            ExpressionError: An expression cannot be evaluated.
            Exception: Whatever a predicate raises.
        """
        for case in configuration.cases:
            if case.predicate is None:
                true = _evaluated(case, context.to_wire())
            else:
                true = await _asked(case.output, case.predicate, context, call)
            if true:
                return case.output
        return configuration.default


def _evaluated(case: Case, context: WireObject) -> bool:
    assert case.when is not None
    result: Wire = search(case.when, context)
    if not isinstance(result, bool):
        shown = str(result)[:100]
        raise ConditionError(f"expected true or false from '{case.when}', found {describe(result)}: {shown}")
    return result


async def _asked(output: str, predicate: str, context: "ContextObject", call: "Call") -> bool:
    registered = call.registry.find_predicate(predicate)
    before = context.to_wire()
    result: object
    if registered.is_async:
        result = registered.function(context)
    else:
        result = await call.in_thread(registered.function, context)
    if inspect.isawaitable(result):
        result = await result
    if not isinstance(result, bool):
        raise ConditionError(
            f"case '{output}': expected True or False from predicate '{predicate}', found {type(result).__name__}."
        )
    if context.to_wire() is not before:
        raise ConditionError(f"case '{output}': expected predicate '{predicate}' to leave the context as it is.")
    return result
