"""What an application adds to the engine: functions, predicates, node types and value types, by name."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Generic, NamedTuple, TypeVar

from engine.call import Call
from engine.context import ContextObject, Converters
from engine.errors import RegistryError
from engine.nodes.code import Code
from engine.nodes.edit import Edit
from engine.nodes.end import End
from engine.nodes.node_type import Configuration, NodeType
from engine.nodes.start import Start
from engine.nodes.switch import Switch
from engine.workflow.names import NAME_WORDS, is_name, listed, suggest

NodeFunction = Callable[[ContextObject, Call], object]
"""What a code node calls: it changes the context and returns None, or returns changes as `{path: value}`."""
Predicate = Callable[[ContextObject], bool | Awaitable[bool]]
"""What a switch asks about the context; it may not change it."""

NodeFunctionT = TypeVar("NodeFunctionT", bound=NodeFunction)
PredicateT = TypeVar("PredicateT", bound=Predicate)
FunctionT = TypeVar("FunctionT")
EntryT = TypeVar("EntryT")
ConfigurationT = TypeVar("ConfigurationT", bound=Configuration)

BUILT_IN: tuple[type[NodeType[Configuration]], ...] = (Start, End, Code, Edit, Switch)  # type: ignore[assignment]


class Registered(NamedTuple, Generic[FunctionT]):
    """A registered function.

    Attributes:
        name: As definitions call it.
        function: As it was given.
        is_async: Whether calling it gives a coroutine; otherwise it may block and belongs in a thread.
    """

    name: str
    function: FunctionT
    is_async: bool


class Registry:
    """The names that definitions may use. Fill it before the engine starts; the built-in node types are in it.

    Attributes:
        converters: The types of values beyond the built-in ones that contexts may hold.
    """

    def __init__(self) -> None:
        self.converters = Converters()
        self._functions: dict[str, Registered[NodeFunction]] = {}
        self._predicates: dict[str, Registered[Predicate]] = {}
        self._node_types: dict[str, NodeType[Configuration]] = {}
        for built_in in BUILT_IN:
            self._node_types[built_in.name] = built_in()

    def node(self, name: str) -> Callable[[NodeFunctionT], NodeFunctionT]:
        """Register a function for code nodes: `def answer(context, call)`, sync or async.

        Raises:
            RegistryError: The name is taken or no name, or the function cannot take `(context, call)`.
        """
        _require_name(name, "node")

        def register(function: NodeFunctionT) -> NodeFunctionT:
            registered: Registered[NodeFunction] = _registered(name, function, ("context", "call"))
            self._add(self._functions, name, registered, "function")
            return function

        return register

    def predicate(self, name: str) -> Callable[[PredicateT], PredicateT]:
        """Register a function for switch cases: `def is_urgent(context) -> bool`, sync or async.

        Raises:
            RegistryError: The name is taken or no name, or the function cannot take `(context)`.
        """
        _require_name(name, "predicate")

        def register(function: PredicateT) -> PredicateT:
            registered: Registered[Predicate] = _registered(name, function, ("context",))
            self._add(self._predicates, name, registered, "predicate")
            return function

        return register

    def node_type(self, node_type: NodeType[ConfigurationT] | type[NodeType[ConfigurationT]]) -> None:
        """Register a node type: an instance, or a class that needs no arguments.

        Raises:
            RegistryError: The name is taken or no name, or it is no node type with a configuration model.
        """
        instance = _instance(node_type)
        self._add(self._node_types, instance.name, instance, "node type")

    def function(self, name: str) -> Registered[NodeFunction]:
        """Return the function of this name.

        Raises:
            RegistryError: There is none.
        """
        return _find(self._functions, name, "function", "Register it with @registry.node(NAME).")

    def find_predicate(self, name: str) -> Registered[Predicate]:
        """Return the predicate of this name.

        Raises:
            RegistryError: There is none.
        """
        return _find(self._predicates, name, "predicate", "Register it with @registry.predicate(NAME).")

    def find_node_type(self, name: str) -> NodeType[Configuration]:
        """Return the node type of this name, built-in ones included.

        Raises:
            RegistryError: There is none.
        """
        return _find(self._node_types, name, "node type", "Register it with registry.node_type.")

    @property
    def node_types(self) -> tuple[NodeType[Configuration], ...]:
        """All node types, the built-in ones first."""
        return tuple(self._node_types.values())

    @staticmethod
    def _add(entries: dict[str, EntryT], name: str, entry: EntryT, kind: str) -> None:
        if not is_name(name):
            raise RegistryError(f"Expected a name of {NAME_WORDS} for a {kind}, found {name!r}.")
        if name in entries:
            raise RegistryError(f"The {kind} '{name}' is registered twice.", hint="Give one of them another name.")
        entries[name] = entry


def _require_name(name: object, decorator: str) -> None:
    if not isinstance(name, str):
        word = getattr(name, "__name__", "name")
        raise RegistryError(
            f"Expected a name for @registry.{decorator}, but found {name!r:.80}.",
            hint=f'Write @registry.{decorator}("{word}").',
        )


def _find(entries: dict[str, EntryT], name: str, kind: str, hint: str) -> EntryT:
    entry = entries.get(name)
    if entry is None:
        raise RegistryError(
            f"No {kind} '{name}' is registered; there are: {listed(entries)}{suggest(name, entries) or '.'}", hint=hint
        )
    return entry


def _instance(node_type: object) -> NodeType[Configuration]:
    if isinstance(node_type, type) and issubclass(node_type, NodeType):
        if inspect.isabstract(node_type):
            raise RegistryError(f"Expected a node type with a 'decide' method, {node_type.__name__} has none.")
        node_type = node_type()
    if not isinstance(node_type, NodeType):
        raise RegistryError(f"Expected a NodeType, found {type(node_type).__name__}.")
    where = type(node_type).__name__
    if not isinstance(getattr(node_type, "name", None), str):
        raise RegistryError(f"Expected a class variable 'name' in {where}: the word for definitions.")
    model = getattr(node_type, "configuration", None)
    if not (isinstance(model, type) and issubclass(model, Configuration)):
        raise RegistryError(f"Expected a class variable 'configuration' in {where}: a subclass of Configuration.")
    return node_type


def _registered(name: str, function: FunctionT, parameters: tuple[str, ...]) -> Registered[FunctionT]:
    """Check at registration what would otherwise fail in the middle of a run."""
    expected = f"Expected a function that takes ({', '.join(parameters)}) for '{name}'"
    if not callable(function):
        raise RegistryError(f"{expected}, found {type(function).__name__}.")
    # An object is called by its class's method: that one says whether it is async.
    called = (function, type(function).__call__)
    if any(inspect.isgeneratorfunction(each) or inspect.isasyncgenfunction(each) for each in called):
        raise RegistryError(f"{expected}, found a generator function: it would not run.", hint="Leave out 'yield'.")
    try:
        inspect.signature(function).bind(*parameters)
    except TypeError as error:
        raise RegistryError(f"{expected}, found {inspect.signature(function)}: {error}.") from error
    except ValueError as error:
        raise RegistryError(f"{expected}, found one that tells no signature.", hint="Wrap it in a function.") from error
    return Registered(name, function, any(inspect.iscoroutinefunction(each) for each in called))
