"""The code node: calls a registered function."""

import inspect
from collections.abc import Awaitable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from engine.context.values import WireObject
from engine.errors import RegistryError, RunlineError
from engine.nodes.node_type import NEXT, Configuration, NodeType, Problem, Work
from engine.workflow.names import Name, is_name

if TYPE_CHECKING:
    from engine.call import Call
    from engine.context import ContextObject
    from engine.registry import Registry


_WORK: Final = Work()


class FunctionResultError(RunlineError):
    """A registered function returned what a node cannot take."""

    code = "function_result"


class CodeConfiguration(Configuration):
    """The configuration of a code node.

    Attributes:
        function: The name under which the function is registered.
    """

    function: Name


class Code(NodeType[CodeConfiguration]):
    """User code: a function of the context and the call, which changes the context or returns changes."""

    name = "code"
    configuration = CodeConfiguration

    def check(self, configuration: CodeConfiguration, registry: "Registry | None") -> Iterable[Problem]:
        """Yield a problem when the function is not registered."""
        return self.check_data({"function": configuration.function}, registry)

    def check_data(self, data: Mapping[str, object], registry: "Registry | None") -> Iterable[Problem]:
        """Yield the same, when the function's name can be read."""
        function = data.get("function")
        if registry is not None and isinstance(function, str) and is_name(function):
            try:
                registry.function(function)
            except RegistryError as error:
                yield Problem("function", str(error))

    def decide(self, configuration: CodeConfiguration, context: WireObject) -> Work:  # noqa: ARG002 - the same for all
        """Ask for the function to be called."""
        return _WORK

    async def execute(self, configuration: CodeConfiguration, context: "ContextObject", call: "Call") -> str:
        """Call the function, in a thread unless it is async, and set the changes it returns, in order.

        Raises:
            RegistryError: The function is not registered here.
            FunctionResultError: It returned something else than None or `{path: value}`.
            Exception: Whatever the function raises.
        """
        registered = call.registry.function(configuration.function)
        if registered.is_async:
            coroutine: Awaitable[object] = registered.function(context, call)  # type: ignore[assignment]  # is_async
            result = await coroutine
        else:
            result = await call.in_thread(registered.function, context, call)
            if inspect.isawaitable(result):
                result = await result
        if result is not None:
            _set_all(configuration.function, context, result)
        return NEXT


def _set_all(function: str, context: "ContextObject", result: object) -> None:
    expected = f"expected None or a mapping of paths to values from function '{function}'"
    if result is context:
        raise FunctionResultError(f"{expected}, found the context itself.", hint="Change it in place, return None.")
    if not isinstance(result, Mapping):
        raise FunctionResultError(f"{expected}, found {type(result).__name__}.")
    for path in result:
        if not isinstance(path, str):
            raise FunctionResultError(f"{expected}, found the key {path!r} of type {type(path).__name__}.")
    for path, value in result.items():
        context.set(path, value)
