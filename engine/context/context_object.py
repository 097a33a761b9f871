"""ContextObject: names and values; what flows along the connections is one."""

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Self, cast

from engine.context.container import Container
from engine.context.converters import Converters
from engine.context.encoding import copied
from engine.context.errors import ContextKeyError, ContextTypeError
from engine.context.json_text import read_json, write_json
from engine.context.refusals import name_error
from engine.context.values import MISSING, Missing, Wire, WireObject, shown
from engine.errors import ContextError


# Mapping's `get` takes a key and a default; here it takes a path and a type, which is what contexts are for.
class ContextObject(Container, MutableMapping[str, object], wire=dict):  # type: ignore[misc]
    """Names and values, reached by paths or, as in any mapping, by name: `context["a.b"]` is the name `a.b`.

    Only `get` differs from other mappings: it takes a path and a type and raises when nothing is there; see `try_get`.
    Two contexts are equal when their values are, as for a dict.

    Example:
        context = ContextObject()
        context.set("input.user_id", 42)
        context.get("input.user_id", int)

    Args:
        values: Names and values to begin with; are copied.
        converters: The registry of custom types; without one a context knows the built-in types only.

    Raises:
        ContextTypeError: The values are no mapping.
        ContextValueError: A context cannot hold one of the values; the subclass says why.
    """

    __slots__ = ()

    _wire: WireObject

    def __init__(self, values: Mapping[str, object] | None = None, *, converters: Converters | None = None) -> None:
        try:
            found: dict[str, object] = {} if values is None else dict(values)
        except ContextError:
            raise  # another context's value that cannot be read
        except (TypeError, ValueError) as error:
            raise ContextTypeError(f"expected a mapping as the context, but found {shown(values)}.") from error
        self._fill(found, converters)

    @classmethod
    def from_wire(cls, wire: WireObject, converters: Converters | None = None) -> Self:
        """Return a context with the values of a wire form.

        Args:
            wire: Valid (`engine.context.check.check_wire` finds out); is copied.
            converters: The registry of custom types.
        """
        return cls._over(cast("WireObject", copied(wire)), converters, 1)

    def to_wire(self) -> WireObject:
        """Return a copy of the wire form: plain JSON data, the caller's own."""
        return super().to_wire()  # type: ignore[return-value]  # an object's wire form is one

    def _shared_wire(self) -> WireObject:
        """Return the wire form itself, for the engine; nobody may change it from now on.

        It is the very object that the context was made from when nothing has changed since, and otherwise shares
        every unchanged container with it.
        """
        return super()._shared_wire()  # type: ignore[return-value]  # an object's wire form is one

    def serialize(self) -> str:
        """Return the context as JSON that `deserialize` reads back exactly: every type and value.

        Raises:
            ContextSizeError: It would be larger than a context may be; likewise ContextCountError.
        """
        return write_json(self._shared_wire())

    @classmethod
    def deserialize(cls, text: str | bytes | None, converters: Converters | None = None) -> Self:
        """Return the context that a JSON text stands for; an empty one for None or an empty text.

        Args:
            text: As `serialize` writes it, or any JSON object in UTF-8.
            converters: The registry of the custom types in it.

        Raises:
            ContextJSONError: The text is no JSON object, or a name stands twice in one; with line and column.
            ContextUnregisteredError: A `$type` in it is neither built in nor registered.
            ContextFormError: A typed value in it is not of its type's form.
            ContextValueError: It breaks a limit or rule of contexts; the subclass says which.
        """
        return cls._over(read_json(text, converters) if text else {}, converters, 1)

    def __getitem__(self, name: str) -> object:
        wire = self._wire.get(name, MISSING)
        if wire is MISSING:
            raise ContextKeyError(f"expected a value under the name {name!r}, but found none.")
        return self._value(name, wire)

    def __setitem__(self, name: str, value: object) -> None:
        if error := name_error(name, ()):
            raise error
        self._put(name, self._encoded(name, value))

    def __delitem__(self, name: str) -> None:
        if name not in self._wire:
            raise ContextKeyError(f"expected a value under the name {name!r}, but found none.")
        self._drop(name)

    def __contains__(self, name: object) -> bool:
        return name in self._wire

    def __iter__(self) -> Iterator[str]:
        return iter(self._wire)

    def __len__(self) -> int:
        return len(self._wire)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        if isinstance(other, ContextObject) and self._shared_wire() is other._shared_wire():
            return True
        return dict(self.items()) == dict(other.items())

    __hash__ = None  # type: ignore[assignment]  # it can change

    def _peek(self, segment: str | int) -> Wire | Missing:
        return self._wire.get(segment, MISSING)  # type: ignore[arg-type]  # an index is no name

    def _takes(self, segment: str | int) -> bool:
        return segment.__class__ is str

    def _put(self, segment: str | int, wire: Wire) -> None:
        if self._children:
            self._children.pop(segment, None)
        self._writable()[segment] = wire  # type: ignore[index]  # a name: `_takes` says so

    def _drop(self, segment: str | int) -> None:
        if self._children:
            self._children.pop(segment, None)
        del self._writable()[segment]  # type: ignore[arg-type]  # a name: `_takes` says so
