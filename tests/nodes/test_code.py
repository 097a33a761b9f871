import functools
import threading
from collections.abc import Callable

import pytest
from pydantic import ValidationError

from engine.call import Call
from engine.context import ContextObject
from engine.errors import ContextError, RegistryError
from engine.nodes.code import Code, FunctionResultError
from engine.nodes.node_type import NEXT, Work
from engine.registry import Registry

MakeCall = Callable[[], Call]


async def execute(context: ContextObject, call: Call) -> str:
    node = Code()
    configuration = node.configure({"function": "f"})
    assert node.decide(configuration, {}) == Work()
    return await node.execute(configuration, context, call)


async def test_a_sync_function_changes_the_context_in_a_thread(registry: Registry, make_call: MakeCall) -> None:
    threads: list[int] = []

    @registry.node("f")
    def f(context: ContextObject, call: Call) -> None:
        threads.append(threading.get_ident())
        context.set("answer", f"{call.node_id} {call.attempt}")

    context = ContextObject()
    assert await execute(context, make_call()) == NEXT
    assert context.get("answer", str) == "ask 2"
    assert threads != [threading.get_ident()]
    assert callable(f)


async def test_an_async_function_runs_in_the_event_loop(registry: Registry, make_call: MakeCall) -> None:
    @registry.node("f")
    async def f(context: ContextObject, call: Call) -> dict[str, object]:
        assert call.run_id == "run-1"
        return {"a.b": threading.get_ident(), "seen": len(context)}

    context = ContextObject({"x": 1})
    await execute(context, make_call())
    assert context.to_wire() == {"x": 1, "a": {"b": threading.get_ident()}, "seen": 1}
    assert callable(f)


async def test_a_callable_object_and_a_wrapped_coroutine_are_awaited(make_call: MakeCall, registry: Registry) -> None:
    class Answer:
        async def __call__(self, context: ContextObject, call: Call) -> None:
            context.set("by", call.node_id)

    answer = Answer()
    registry.node("f")(answer)
    assert registry.function("f").is_async
    context = ContextObject()
    await execute(context, make_call())
    assert context.to_wire() == {"by": "ask"}

    registry = Registry()

    @registry.node("f")
    @functools.wraps(answer.__call__)
    def wrapped(context: ContextObject, call: Call) -> object:
        return answer(context, call)

    call = make_call()
    call.registry = registry
    context = ContextObject()
    await execute(context, call)
    assert context.to_wire() == {"by": "ask"}
    assert callable(wrapped)


async def test_returned_changes_are_set_in_order(registry: Registry, make_call: MakeCall) -> None:
    @registry.node("f")
    def f(context: ContextObject, call: Call) -> dict[str, object]:
        return {"a": {"x": len(context)}, "a.y": call.attempt}

    context = ContextObject()
    await execute(context, make_call())
    assert context.to_wire() == {"a": {"x": 0, "y": 2}}
    assert callable(f)


@pytest.mark.parametrize(
    ("result", "found"),
    [("done", "found str"), (5, "found int"), (["a"], "found list"), ({1: 2}, "found the key 1 of type int")],
)
async def test_another_result_is_an_error_that_names_function_and_type(
    registry: Registry, make_call: MakeCall, result: object, found: str
) -> None:
    @registry.node("f")
    def f(context: ContextObject, call: Call) -> object:
        return result if call.attempt and not context else None

    context = ContextObject()
    with pytest.raises(FunctionResultError, match=f"function 'f', {found}"):
        await execute(context, make_call())
    assert context.to_wire() == {}
    assert callable(f)


async def test_returning_the_context_itself_is_explained(registry: Registry, make_call: MakeCall) -> None:
    @registry.node("f")
    def f(context: ContextObject, call: Call) -> object:
        return context if call.attempt else None

    with pytest.raises(FunctionResultError, match="Change it in place"):
        await execute(ContextObject(), make_call())
    assert callable(f)


async def test_a_value_that_a_context_cannot_hold_is_refused(registry: Registry, make_call: MakeCall) -> None:
    @registry.node("f")
    def f(context: ContextObject, call: Call) -> dict[str, object]:
        return {"a": object(), "b": [context, call]}

    with pytest.raises(ContextError, match="a"):
        await execute(ContextObject(), make_call())
    assert callable(f)


async def test_errors_of_the_function_pass(registry: Registry, make_call: MakeCall) -> None:
    @registry.node("f")
    def f(context: ContextObject, call: Call) -> None:
        raise ZeroDivisionError(f"{len(context)} {call.node_id}")

    with pytest.raises(ZeroDivisionError, match="0 ask"):
        await execute(ContextObject(), make_call())
    assert callable(f)


async def test_an_unregistered_function_is_named(make_call: MakeCall) -> None:
    with pytest.raises(RegistryError, match="No function 'f'"):
        await execute(ContextObject(), make_call())


@pytest.mark.parametrize("data", [{}, {"function": ""}, {"function": "a b"}, {"function": "f", "x": 1}])
def test_a_wrong_configuration_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Code().configure(data)
