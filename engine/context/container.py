"""What ContextObject and ContextList have in common: paths, over a wire form that is read and copied lazily."""

from abc import abstractmethod
from typing import ClassVar, Final, Self, TypeVar, cast, overload

from engine.context.converters import Converters
from engine.context.encoding import WireBacked, copied, decode, encode, is_container
from engine.context.kinds import classes, fits, matched
from engine.context.paths import check_settable, nested, parse, unreachable
from engine.context.printing import printed
from engine.context.refusals import too_deep
from engine.context.values import MISSING, TYPE, Missing, Wire, WireList, WireObject
from engine.errors import ContextError
from engine.limits import CONTEXT_DEPTH_MAX

T = TypeVar("T")
D = TypeVar("D")

_CLASSES: Final[dict[type, type["Container"]]] = {}
"""The container classes by the class of their wire form; each enters itself."""


class Container(WireBacked):
    """A ContextObject or a ContextList.

    The wire form it stands on may be shared with the engine and with other containers, so it is copied before the first
    change, and user code never gets hold of it; containers inside are made when they are first asked for and then kept,
    so that changes to them are seen here. Not to be used by several threads at once.

    Paths are those of `engine.context.paths`. `try_get`, `try_set` and `remove_path` raise nothing about a path
    or value; `get` and `set` raise a ContextError that names the path, what was expected and what was found.
    """

    __slots__ = ("_children", "_converters", "_depth", "_owned", "_wire")

    _wire: WireObject | WireList
    _wire_class: ClassVar[type]
    _children: dict[str | int, "Container"] | None
    _converters: Converters | None
    _depth: int
    _owned: bool

    def __init_subclass__(cls, wire: type | None = None) -> None:
        super().__init_subclass__()
        if wire is not None:
            cls._wire_class = wire
            _CLASSES[wire] = cls

    @classmethod
    def _over(cls, wire: WireObject | WireList, converters: Converters | None, depth: int) -> Self:
        """Return a container over a wire form that others may share; reads nothing."""
        self = cls.__new__(cls)
        self._wire = wire
        self._children = None
        self._converters = converters
        self._depth = depth
        self._owned = False
        return self

    def _fill(self, values: object, converters: Converters | None) -> None:
        """Become a new container with these values."""
        self._children = None
        self._converters = converters
        self._depth = 1
        self._owned = False
        self._wire = cast("WireObject | WireList", encode(values, converters, (), 1))

    @property
    def converters(self) -> Converters | None:
        """The registry that the container was made with."""
        return self._converters

    def to_wire(self) -> WireObject | WireList:
        """Return a copy of the wire form: plain JSON data, the caller's own."""
        return cast("WireObject | WireList", copied(self._shared_wire()))

    def _shared_wire(self) -> WireObject | WireList:
        """Return the wire form itself, for the engine; nobody may change it from now on.

        It is the very object that the container was made from when nothing has changed since, and otherwise shares
        every unchanged container with it.
        """
        if self._children:
            for segment, child in self._children.items():
                wire = child._shared_wire()  # noqa: SLF001 - of its own class
                if wire is not self._wire[segment]:  # type: ignore[index]  # a child's segment fits its parent
                    self._writable()[segment] = wire  # type: ignore[index]  # the same
        self._owned = False
        return self._wire

    def copy(self) -> Self:
        """Return an independent container with the same values; nothing is copied until one of the two changes."""
        return self._over(self._shared_wire(), self._converters, 1)

    def __copy__(self) -> Self:
        return self.copy()

    def __deepcopy__(self, memo: object) -> Self:
        return self.copy()

    @overload
    def get(self, path: str, /) -> object: ...
    @overload
    def get(self, path: str, kind: type[T], /) -> T: ...
    @overload
    def get(self, path: str, kind: object, /) -> object: ...
    def get(self, path: str, kind: object = object, /) -> object:
        """Return the value at a path.

        A ContextObject or ContextList that is returned stays part of this container: changes to it are seen here.
        Any other value is a copy or cannot be changed.

        Args:
            path: Such as `order.lines[0].sku`.
            kind: What the value must be: a class, or a union such as `str | None`. Nothing is converted: an int is no
                float, a bool no int, a datetime no date.

        Raises:
            ContextPathError: The text is no path.
            ContextMissingError: Nothing stands there.
            ContextTypeError: The value, or something on the way to it, is of another kind.
            ContextFormError: What stands there is of no valid form.
            ContextUnregisteredError: The value's type is not registered with this container's converters.
            ContextConverterError: The value's converter raised or gave another type.
        """
        value = self._find(parse(path))
        if kind is object or type(value) is kind:
            return value
        return matched(value, cast("type[object]", kind), path)

    @overload
    def try_get(self, path: str, /) -> object: ...
    @overload
    def try_get(self, path: str, kind: type[T], /) -> T | None: ...
    @overload
    def try_get(self, path: str, kind: type[T], /, default: D) -> T | D: ...
    @overload
    def try_get(self, path: str, kind: object = object, /, default: object = None) -> object: ...
    def try_get(self, path: str, kind: object = object, /, default: object = None) -> object:
        """Return the value at a path, or the default wherever `get` would raise.

        Raises:
            ContextTypeError: The kind is neither a class nor a union of classes.
        """
        classes(kind)
        try:
            value = self._find(parse(path))
            return value if fits(value, kind) else default
        except ContextError:
            return default

    def set(self, path: str, value: object, /) -> None:
        """Put a value at a path.

        Missing parents are made as objects. A list is never made, and an index must exist or be the list's length,
        which appends. Containers are copied in; other values must not be changed afterwards. When it raises, nothing
        has changed.

        Args:
            path: Such as `order.lines[0].sku`.
            value: None, bool, int, float, str, list, tuple, dict, ContextObject, ContextList, datetime, date, time,
                timedelta, UUID, Decimal, bytes, or of a type registered with this container's converters.

        Raises:
            ContextPathError: The text is no path.
            ContextIndexError: A list on the way has no such index.
            ContextContainerError: Something on the way is not the object or list that the path needs.
            ContextValueError: A context cannot hold the value; the subclass says why.
        """
        segments = parse(path)
        check_settable(segments)
        depth = self._depth + len(segments)
        if depth - 1 > CONTEXT_DEPTH_MAX:
            raise too_deep(segments[:-1])
        wire = encode(value, self._converters, segments, depth)
        holder: Container = self
        position, last = 0, len(segments) - 1
        while position < last:
            inner = holder._peek(segments[position])
            if inner is MISSING:
                break
            if not is_container(inner):
                raise unreachable(inner, segments, position + 1)
            holder = holder._child(segments[position], inner)
            position += 1
        if not holder._takes(segments[position]):  # noqa: SLF001 - of its own class
            raise unreachable(holder._wire, segments, position)  # noqa: SLF001 - of its own class
        holder._put(segments[position], nested(segments, position + 1, wire) if position < last else wire)  # noqa: SLF001 - of its own class

    def try_set(self, path: str, value: object, /) -> bool:
        """Put a value at a path and return True; return False, with nothing changed, wherever `set` would raise."""
        try:
            self.set(path, value)
        except ContextError:
            return False
        return True

    def remove_path(self, path: str, /) -> bool:
        """Remove what stands at a path and return whether there was anything; later items of a list move up."""
        try:
            segments = parse(path)
            holder = self._holder(segments)
        except ContextError:
            return False
        if holder._peek(segments[-1]) is MISSING:  # noqa: SLF001 - of its own class
            return False
        holder._drop(segments[-1])  # noqa: SLF001 - of its own class
        return True

    def _find(self, segments: tuple[str | int, ...]) -> object:
        """Return the value at the segments."""
        holder = self if len(segments) == 1 else self._holder(segments)
        segment = segments[-1]
        wire = holder._peek(segment)  # noqa: SLF001 - of its own class
        if wire is MISSING:
            raise unreachable(holder._wire, segments, len(segments) - 1)  # noqa: SLF001 - of its own class
        if type(wire) is dict:
            return decode(wire, self._converters, segments) if TYPE in wire else holder._child(segment, wire)  # noqa: SLF001 - of its own class
        return holder._child(segment, wire) if type(wire) is list else wire  # noqa: SLF001 - of its own class

    def _holder(self, segments: tuple[str | int, ...]) -> "Container":
        """Return the container that the last segment is looked for in."""
        holder = self
        for position in range(len(segments) - 1):
            wire = holder._peek(segments[position])
            if wire is MISSING:
                raise unreachable(holder._wire, segments, position)
            if not is_container(wire):
                raise unreachable(wire, segments, position + 1)
            holder = holder._child(segments[position], wire)
        return holder

    def _value(self, segment: str | int, wire: Wire) -> object:
        """Return the value of a wire value that stands here."""
        if is_container(wire):
            return self._child(segment, wire)
        return decode(wire, self._converters, (segment,)) if isinstance(wire, dict) else wire

    def _child(self, segment: str | int, wire: WireObject | WireList) -> "Container":
        """Return the container that stands here, the same one each time."""
        children = self._children
        if children is None:
            children = self._children = {}
        child = children.get(segment)
        if child is None:
            child = children[segment] = _CLASSES[type(wire)]._over(wire, self._converters, self._depth + 1)  # noqa: SLF001 - of its own class
        return child

    def _encoded(self, segment: str | int, value: object) -> Wire:
        """Return the wire form of a value that is to stand here."""
        return encode(value, self._converters, (segment,), self._depth + 1)

    def _writable(self) -> WireObject | WireList:
        """Return the wire form to be written to, which nobody else has."""
        if not self._owned:
            self._wire = self._wire.copy()
            self._owned = True
        return self._wire

    @abstractmethod
    def _peek(self, segment: str | int) -> Wire | Missing:
        """Return the wire value that stands here, of a changed child perhaps an old one, or MISSING."""

    @abstractmethod
    def _takes(self, segment: str | int) -> bool:
        """Return whether a value can be put here."""

    @abstractmethod
    def _put(self, segment: str | int, wire: Wire) -> None:
        """Put a wire value here; what stood here is let go of."""

    @abstractmethod
    def _drop(self, segment: str | int) -> None:
        """Remove what stands here."""

    def __repr__(self) -> str:
        return printed(type(self).__name__, self._shared_wire())
