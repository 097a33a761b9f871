"""The switch node: leaves by the first output whose condition is true."""

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from pydantic import Field, model_validator

from engine.context.excerpt import excerpt
from engine.context.values import WireObject, describe
from engine.errors import RegistryError, RunlineError
from engine.expressions import Evaluator, ExpressionError
from engine.meter import Meter
from engine.nodes.fields import ExpressionText, Items, entries
from engine.nodes.node_type import Configuration, Done, Failed, Left, NodeType, Problem, Step, Work
from engine.workflow.names import Name, is_name

if TYPE_CHECKING:
    from engine.call import Call
    from engine.context import ContextObject
    from engine.registry import Registry


_DEFAULT: Final = "default"
_NONE_TAKEN: Final = "no case was true"
_SHOWN_CHARACTERS: Final = 100


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
        for message in _not_one_of_both(self.when, self.predicate):
            raise ValueError(message)
        return self


def _not_one_of_both(when: object, predicate: object) -> Iterator[str]:
    if (when is None) == (predicate is None):
        yield f"expected either 'when' or 'predicate', found {'neither' if when is None else 'both'}"


class SwitchConfiguration(Configuration):
    """The configuration of a switch node.

    Attributes:
        cases: In the order they are tried; those after the first true one are not evaluated.
        default: The output to leave by when no case is true.
    """

    cases: Items[Case] = Field(min_length=1)
    default: Name = _DEFAULT

    @model_validator(mode="after")
    def _outputs_differ(self) -> "SwitchConfiguration":
        for message in _repeated_outputs(self.default, (case.output for case in self.cases)):
            raise ValueError(message)
        return self


def _repeated_outputs(default: object, outputs: Iterable[object]) -> Iterator[str]:
    seen = {default} if isinstance(default, str) else set()
    for index, output in enumerate(outputs):
        if isinstance(output, str):
            if output in seen:
                yield f"expected each output once, found '{output}' again in case {index}"
            seen.add(output)


class Switch(NodeType[SwitchConfiguration]):
    """A decision; an output that is not connected ends the path."""

    name = "switch"
    configuration = SwitchConfiguration

    def outputs(self, configuration: SwitchConfiguration) -> tuple[str, ...]:
        """Return the outputs of the cases, then the default."""
        return (*(case.output for case in configuration.cases), configuration.default)

    def check(self, configuration: SwitchConfiguration, registry: "Registry | None") -> Iterable[Problem]:
        """Yield a problem for each predicate that is not registered."""
        return _unregistered([case.predicate for case in configuration.cases], registry)

    def outputs_in(self, data: Mapping[str, object]) -> tuple[str, ...] | None:
        """Return the outputs when all of them can be read."""
        cases = entries(data, "cases")
        outputs = [*(case.get("output") for case in cases), _default_in(data)]
        names = tuple(output for output in outputs if isinstance(output, str))
        return names if cases and len(names) == len(outputs) else None

    def check_data(self, data: Mapping[str, object], registry: "Registry | None") -> Iterable[Problem]:
        """Yield a problem for each case of both or nothing, output that stands twice and unregistered predicate."""
        cases = entries(data, "cases")
        for index, case in enumerate(cases):
            if case and case.keys() <= Case.model_fields.keys():
                for message in _not_one_of_both(case.get("when"), case.get("predicate")):
                    yield Problem(f"cases.{index}", message)
        for message in _repeated_outputs(_default_in(data), (case.get("output") for case in cases)):
            yield Problem("", message)
        yield from _unregistered([case.get("predicate") for case in cases], registry)

    def decide(self, configuration: SwitchConfiguration, context: WireObject) -> Step:
        """Try the cases here, unless one of them needs a registered function."""
        if any(case.predicate is not None for case in configuration.cases):
            return Work()
        meter = Meter()
        evaluator = Evaluator(meter)
        for case in configuration.cases:
            try:
                if _evaluated(case, context, evaluator):
                    return Done(output=case.output, message=_taken(case), steps=meter.steps)
            except (ConditionError, ExpressionError) as error:
                return Failed(error.code, f"case '{case.output}': {error}")
        return Done(output=configuration.default, message=_NONE_TAKEN, steps=meter.steps)

    async def execute(self, configuration: SwitchConfiguration, context: "ContextObject", call: "Call") -> Left:
        """Try the cases in order, the predicates among them, in a thread unless they are async.

        Raises:
            RegistryError: A predicate is not registered here.
            ConditionError: A condition is neither true nor false, or a predicate changed the context.
            ExpressionError: An expression cannot be evaluated.
            Exception: Whatever a predicate raises.
        """
        meter = Meter()
        for case in configuration.cases:
            if case.predicate is None:
                # One that remembers nothing: between two cases user code runs.
                true = _evaluated(case, context._shared_wire(), Evaluator(meter))  # noqa: SLF001 - for the engine
            else:
                true = await _asked(case.output, case.predicate, context, call)
            if true:
                return Left(case.output, _taken(case))
        return Left(configuration.default, _NONE_TAKEN)


def _taken(case: Case) -> str:
    return f"case '{case.output}'"


def _default_in(data: Mapping[str, object]) -> object:
    """Return the default output as written; None when it is not, and a misspelt field may be it."""
    misspelt = not data.keys() <= SwitchConfiguration.model_fields.keys()
    return data.get("default", None if misspelt else _DEFAULT)


def _unregistered(predicates: Sequence[object], registry: "Registry | None") -> Iterator[Problem]:
    for index, predicate in enumerate(predicates):
        if registry is not None and isinstance(predicate, str) and is_name(predicate):
            try:
                registry.find_predicate(predicate)
            except RegistryError as error:
                yield Problem(f"cases.{index}.predicate", str(error))


def _evaluated(case: Case, context: WireObject, evaluator: Evaluator) -> bool:
    assert case.when is not None
    result = evaluator.search(case.when, context)
    if not isinstance(result, bool):
        shown = excerpt(result, _SHOWN_CHARACTERS)
        raise ConditionError(f"expected true or false from '{case.when}', found {describe(result)}: {shown}")
    return result


async def _asked(output: str, predicate: str, context: "ContextObject", call: "Call") -> bool:
    registered = call.registry.find_predicate(predicate)
    before = context._shared_wire()  # noqa: SLF001 - for the engine
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
    if context._shared_wire() is not before:  # noqa: SLF001 - for the engine
        raise ConditionError(f"case '{output}': expected predicate '{predicate}' to leave the context as it is.")
    return result
