"""ContextList: values in order, inside a context."""

from collections.abc import Iterable, Iterator, MutableSequence
from typing import TYPE_CHECKING, Self, SupportsIndex, cast, overload

from engine.context.container import Container
from engine.context.converters import Converters
from engine.context.encoding import copied
from engine.context.errors import ContextIndexError, ContextTypeError
from engine.context.values import MISSING, Missing, Wire, WireList, shown
from engine.errors import ContextError

if TYPE_CHECKING:
    Slice = slice[SupportsIndex | None, SupportsIndex | None, SupportsIndex | None]
else:
    Slice = slice  # cannot be subscribed while Python 3.11 runs


class ContextList(Container, MutableSequence[object], wire=list):
    """Values in order, reached by index as in any list, or by paths, which begin with an index: `[0].name`.

    A slice is a new ContextList. It is equal to a list or tuple of equal values.

    Args:
        values: The values to begin with; are copied.
        converters: The registry of custom types; without one a list knows the built-in types only.

    Raises:
        ContextTypeError: The values are nothing to go through.
        ContextValueError: A context cannot hold one of the values; the subclass says why.
    """

    __slots__ = ()

    _wire: WireList

    def __init__(self, values: Iterable[object] = (), *, converters: Converters | None = None) -> None:
        try:
            found = list(values)
        except ContextError:
            raise  # another list's value that cannot be read
        except (TypeError, ValueError) as error:
            raise ContextTypeError(f"expected several values for a list, but found {shown(values)}.") from error
        self._fill(found, converters)

    @classmethod
    def from_wire(cls, wire: WireList, converters: Converters | None = None) -> Self:
        """Return a list with the values of a wire form.

        Args:
            wire: Valid; is copied.
            converters: The registry of custom types.
        """
        return cls._over(cast("WireList", copied(wire)), converters, 1)

    def to_wire(self) -> WireList:
        """Return a copy of the wire form: plain JSON data, the caller's own."""
        return cast("WireList", super().to_wire())

    def _shared_wire(self) -> WireList:
        """Return the wire form itself, for the engine; nobody may change it from now on."""
        return cast("WireList", super()._shared_wire())

    def insert(self, index: SupportsIndex, value: object) -> None:
        """Put a value before the index, as in any list.

        Raises:
            ContextValueError: A context cannot hold the value; the subclass says why.
        """
        position = range(len(self._wire))[index:].start
        self._splice(slice(position, position), [self._encoded(position, value)])

    @overload
    def __getitem__(self, index: SupportsIndex) -> object: ...
    @overload
    def __getitem__(self, index: Slice) -> "ContextList": ...
    def __getitem__(self, index: SupportsIndex | Slice) -> object:
        if isinstance(index, slice):
            return ContextList._over(self._shared_wire()[index], self._converters, 1)
        position = self._position(index)
        return self._value(position, self._wire[position])

    @overload
    def __setitem__(self, index: SupportsIndex, value: object) -> None: ...
    @overload
    def __setitem__(self, index: Slice, value: Iterable[object]) -> None: ...
    def __setitem__(self, index: SupportsIndex | Slice, value: object) -> None:
        if isinstance(index, slice):
            items = list(cast("Iterable[object]", value))
            self._splice(index, [self._encoded(number, item) for number, item in enumerate(items)])
        else:
            position = self._position(index)
            self._put(position, self._encoded(position, value))

    def __delitem__(self, index: SupportsIndex | Slice) -> None:
        if isinstance(index, slice):
            self._splice(index, None)
        else:
            self._drop(self._position(index))

    def __iter__(self) -> Iterator[object]:
        index = 0
        while index < len(self._wire):
            yield self[index]
            index += 1

    def __len__(self) -> int:
        return len(self._wire)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (ContextList, list, tuple)):
            return NotImplemented
        if isinstance(other, ContextList) and self._shared_wire() is other._shared_wire():
            return True
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # it can change

    def _position(self, index: SupportsIndex) -> int:
        """Return the index counted from the beginning."""
        try:
            return range(len(self._wire))[index]
        except IndexError:
            raise ContextIndexError(
                f"expected an index below {len(self._wire)}, the length of the list, but found {index}."
            ) from None

    def _peek(self, segment: str | int) -> Wire | Missing:
        if segment.__class__ is int and segment < len(self._wire):
            return self._wire[segment]
        return MISSING

    def _takes(self, segment: str | int) -> bool:
        return segment.__class__ is int and segment <= len(self._wire)

    def _put(self, segment: str | int, wire: Wire) -> None:
        index = cast("int", segment)
        items = cast("WireList", self._writable())
        if index == len(items):
            items.append(wire)
        else:
            if self._children:
                self._children.pop(index, None)
            items[index] = wire

    def _drop(self, segment: str | int) -> None:
        index = cast("int", segment)
        self._splice(slice(index, index + 1), None)

    def _splice(self, place: Slice, items: WireList | None) -> None:
        """Replace a part by other items, or remove it; the containers that were handed out move along with theirs."""
        if self._children:
            handed_out = [self._children.get(index) for index in range(len(self._wire))]
            if items is None:
                del handed_out[place]
            else:
                handed_out[place] = [None] * len(items)
            self._children = {index: child for index, child in enumerate(handed_out) if child is not None}
        wire = cast("WireList", self._writable())
        if items is None:
            del wire[place]
        else:
            wire[place] = items
