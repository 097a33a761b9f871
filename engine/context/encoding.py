"""Encoding: from Python values to wire values and back, each with the path where it stands."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from enum import Enum
from math import isfinite
from typing import Final, TypeGuard, cast

from engine.context.check import SIZE_HINT, check_limits, size
from engine.context.converters import Converter, Converters
from engine.context.errors import (
    ContextConverterError,
    ContextFloatError,
    ContextFormError,
    ContextSizeError,
    ContextTimeError,
    ContextUnregisteredError,
)
from engine.context.refusals import SCALARS, name_error, place_of, scalar_error, too_deep, too_many, unknown_type
from engine.context.typed import BY_NAME, BY_TYPE
from engine.context.values import TYPE, VALUE, Path, Wire, WireList, WireObject, article, shown
from engine.limits import CONTEXT_BYTES_MAX, CONTEXT_DEPTH_MAX, CONTEXT_VALUES_MAX, INTEGER_MAX, INTEGER_MIN

_FIELDS: Final = frozenset((TYPE, VALUE))
_SHORT_CHARACTERS: Final = 1_000
"""A text of so many ASCII characters needs no measuring."""


class WireBacked(ABC):
    """A container that has its wire form at hand."""

    __slots__ = ()

    @abstractmethod
    def _shared_wire(self) -> Wire:
        """Return the wire form itself, for the engine; nobody changes it from now on."""

    @property
    @abstractmethod
    def converters(self) -> Converters | None:
        """The registry that the container was made with."""


def encode(value: object, converters: Converters | None, path: Path, depth: int) -> Wire:
    """Return the wire form of a value that is to stand at `path`.

    Containers are copied, so that the value shares nothing that anybody could change later.

    Args:
        value: What to encode.
        converters: The registry of custom types.
        path: For the errors.
        depth: How many containers there would be inside each other if the value were one more.

    Raises:
        ContextValueError: The subclass says why a context cannot hold the value.
    """
    if type(value) is str:
        if len(value) <= _SHORT_CHARACTERS and value.isascii():
            return value
    elif type(value) is int:
        if INTEGER_MIN <= value <= INTEGER_MAX:
            return value
    elif value is None or type(value) is bool or (type(value) is float and isfinite(value)):
        return value
    wire = _Encoder(converters, path).encode(value, depth)
    check_limits(wire, path)
    return wire


class _Encoder:
    """Walks through a value; `_path` is where it is, which only the errors need."""

    __slots__ = ("_characters", "_converters", "_left", "_path", "_plain_for")

    def __init__(self, converters: Converters | None, path: Path) -> None:
        self._converters = converters
        self._path = list(path)
        # Counted on the way: containers and texts that stand in many places are far larger as JSON than in memory.
        self._left = CONTEXT_VALUES_MAX
        self._characters = CONTEXT_BYTES_MAX
        self._plain_for: Converter | None = None

    def encode(self, value: object, depth: int) -> Wire:
        kind = type(value)
        if kind in SCALARS:
            return self._scalar(value)  # type: ignore[arg-type]  # a member of SCALARS, which types cannot say
        if type(value) is dict:
            return self._object(value, depth)
        if type(value) is list or type(value) is tuple:
            return self._list(value, depth)
        if self._plain_for is not None:
            raise ContextConverterError(
                f"expected plain JSON from the converter of {self._plain_for.wire_name!r}, "
                f"but found {article(kind.__name__)} {place_of(self._path)}."
            )
        return self._other(value, depth)

    def _other(self, value: object, depth: int) -> Wire:
        """Encode what is not JSON's own."""
        kind = type(value)
        if kind in BY_TYPE:
            return self._typed(value)
        if isinstance(value, WireBacked):
            return self._backed(value, depth)
        converter = self._converters.of_type(kind) if self._converters is not None else None
        if converter is not None:
            return self._custom(value, converter, depth)
        if isinstance(value, dict):
            return self._object(value, depth)
        if isinstance(value, list):
            return self._list(value, depth)
        raise self._unregistered(value)

    def _scalar(self, value: Wire) -> Wire:
        if error := scalar_error(value, self._path):
            raise error
        if isinstance(value, str):
            self._take(len(value))
        return value

    def _take(self, characters: int) -> None:
        self._characters -= characters
        if self._characters < 0:
            raise ContextSizeError(
                f"expected at most {CONTEXT_BYTES_MAX:,} bytes as JSON, but found more {place_of(self._path)}.",
                hint=SIZE_HINT,
            )

    def _enter(self, values: int, depth: int) -> None:
        if depth > CONTEXT_DEPTH_MAX:
            raise too_deep(self._path)
        self._left -= values
        if self._left < 0:
            raise too_many(self._path)

    def _object(self, value: Mapping[object, object], depth: int) -> WireObject:
        self._enter(len(value), depth)
        wire: WireObject = {}
        path = self._path
        for name, item in value.items():
            if error := name_error(name, path):
                raise error
            path.append(name)  # type: ignore[arg-type]  # no error, so it is a text
            wire[name] = self.encode(item, depth + 1)  # type: ignore[index]  # the same
            path.pop()
        return wire

    def _list(self, value: Sequence[object], depth: int) -> WireList:
        self._enter(len(value), depth)
        wire: WireList = []
        path = self._path
        for index, item in enumerate(value):
            path.append(index)
            wire.append(self.encode(item, depth + 1))
            path.pop()
        return wire

    def _typed(self, value: object) -> WireObject:
        form = BY_TYPE[type(value)]
        try:
            text = form.write(value)
        except ValueError as error:
            refusal = ContextFloatError if form.name == "decimal" else ContextTimeError
            raise refusal(f"{error} {place_of(self._path)}.") from None
        self._take(len(text))
        return {TYPE: form.name, VALUE: text}

    def _backed(self, value: WireBacked, depth: int) -> Wire:
        wire = value._shared_wire()  # noqa: SLF001 - for the engine
        self._walk(wire, depth, known=value.converters is None or value.converters is self._converters)
        return wire

    def _walk(self, wire: Wire, depth: int, *, known: bool) -> None:
        """Check what another context's valid value may still have wrong here: its place, and its custom types."""
        if isinstance(wire, dict) and TYPE in wire:
            name = cast("str", wire[TYPE])
            if not known and name not in BY_NAME and (self._converters is None or not self._converters.of_name(name)):
                raise unknown_type(name, self._path)
            self._take(size(wire))
        elif isinstance(wire, str):
            self._take(len(wire))
        elif isinstance(wire, (dict, list)):
            self._enter(len(wire), depth)
            for segment, item in wire.items() if isinstance(wire, dict) else enumerate(wire):
                self._path.append(segment)
                self._walk(item, depth + 1, known=known)
                self._path.pop()

    def _custom(self, value: object, converter: Converter, depth: int) -> WireObject:
        try:
            plain = converter.to_json(value)
        except Exception as error:  # a converter is user code: whatever it raises belongs to the value
            raise ContextConverterError(
                f"the converter of {converter.wire_name!r} raised {type(error).__name__}: {error} "
                f"{place_of(self._path)}."
            ) from error
        self._plain_for = converter
        wire = self.encode(plain, depth)
        self._plain_for = None
        return {TYPE: converter.wire_name, VALUE: wire}

    def _unregistered(self, value: object) -> ContextUnregisteredError:
        hint = "Register a converter for it and make the context with that registry."
        if isinstance(value, Enum):
            hint = "Register its enum with register_enum and make the context with that registry."
        elif isinstance(value, (set, frozenset)):
            hint = "A list keeps an order, which a set does not have."
        elif isinstance(value, (bytearray, memoryview)):
            hint = "Set bytes."
        return ContextUnregisteredError(
            f"expected a value of a built-in or registered type, but found {article(type(value).__name__)} "
            f"{place_of(self._path)}.",
            hint=hint,
        )


def decode(wire: WireObject, converters: Converters | None, path: Path) -> object:
    """Return the value that a typed wire value stands for.

    Raises:
        ContextFormError: The wire value is not of the form that its type has.
        ContextUnregisteredError: The `$type` is neither built in nor registered.
        ContextConverterError: The registered converter raised or gave another type.
    """
    name = wire[TYPE]
    if wire.keys() != _FIELDS or not isinstance(name, str):
        raise ContextFormError(
            f"expected a typed value with the fields {TYPE!r} (a text) and {VALUE!r}, "
            f"but found {shown(wire, 200)} {place_of(path)}."
        )
    if form := BY_NAME.get(name):
        try:
            return form.value(wire[VALUE])
        except ValueError as error:
            raise ContextFormError(f"not a {name} {place_of(path)}: {error}.") from None
    converter = converters.of_name(name) if converters is not None else None
    if converter is None:
        raise unknown_type(name, path)
    try:
        value = converter.from_json(copied(wire[VALUE]))
    except Exception as error:  # a converter is user code: whatever it raises belongs to the value
        raise ContextConverterError(
            f"the converter of {name!r} raised {type(error).__name__}: {error} {place_of(path)}."
        ) from error
    if type(value) is not converter.type:
        raise ContextConverterError(
            f"expected {article(converter.type.__name__)} from the converter of {name!r}, "
            f"but found {article(type(value).__name__)} {place_of(path)}."
        )
    return value


def copied(wire: Wire) -> Wire:
    """Return a copy that user code may change; wire values are shared."""
    if isinstance(wire, dict):
        return {name: copied(item) for name, item in wire.items()}
    if isinstance(wire, list):
        return [copied(item) for item in wire]
    return wire


def is_container(wire: object) -> TypeGuard[WireObject | WireList]:
    """Return whether a wire value is a plain object or a list: something that a path can lead into."""
    return type(wire) is list or (type(wire) is dict and TYPE not in wire)
