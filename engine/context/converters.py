"""Converters: how values of one's own types stand on the log, each under a name that one chose for it."""

from collections.abc import Callable
from enum import Enum, Flag
from typing import Final, NamedTuple, TypeVar, cast

from engine.context.typed import BY_NAME, BY_TYPE
from engine.context.values import Wire, shown
from engine.errors import RegistryError
from engine.limits import ID_CHARACTERS_MAX

T = TypeVar("T")
JsonT = TypeVar("JsonT")

_PLAIN_TYPES: Final = (type(None), bool, int, float, str, list, tuple, dict, object)
_PLAIN_NAMES: Final = ("none", "null", "bool", "int", "float", "str", "list", "tuple", "dict", "object")


class Converter(NamedTuple):
    """How values of one type are written and read.

    Attributes:
        type: The class; its subclasses are other types.
        wire_name: The `$type` on the log.
        to_json: Gives plain JSON for a value.
        from_json: Gives the value again.
    """

    type: type
    wire_name: str
    to_json: Callable[[object], object]
    from_json: Callable[[Wire], object]


class Converters:
    """A registry of converters, to make contexts with; register everything before the first of them is made.

    The wire name is written into every event that holds such a value, so it stays for as long as the log does; the
    class can be renamed and moved. An unknown name in a context is never looked up anywhere else.

    Example:
        converters = Converters()
        converters.register(Money, "money", lambda m: [str(m.amount), m.currency], lambda j: Money(Decimal(j[0]), j[1]))
        converters.register_enum(Colour, "colour")
        context = ContextObject(converters=converters)
        context.set("price", Money(Decimal("9.99"), "EUR"))
    """

    __slots__ = ("_by_name", "_by_type")

    def __init__(self) -> None:
        self._by_name: dict[str, Converter] = {}
        self._by_type: dict[type, Converter] = {}

    def register(
        self, type_: type[T], wire_name: str, to_json: Callable[[T], JsonT], from_json: Callable[[JsonT], T]
    ) -> None:
        """Let contexts hold values of exactly this type.

        Args:
            type_: The class; register each subclass by itself.
            wire_name: The `$type` on the log, 1 to 200 characters.
            to_json: Gives plain JSON (None, bool, int, float, str, list, dict with text keys) for a value. Must not
                depend on anything but the value.
            from_json: Gives the value again; gets a copy of the JSON that it may keep.

        Raises:
            RegistryError: The type or the name is taken, built in, or cannot be one.
        """
        # A class from outside may be anything, whatever the annotation says.
        if not isinstance(cast("object", type_), type):
            raise RegistryError(f"expected a class to register as {wire_name!r}, but found {shown(type_)}.")
        if type_ in BY_TYPE or type_ in _PLAIN_TYPES or hasattr(type_, "to_wire"):
            raise RegistryError(f"expected a type of your own for {wire_name!r}, but {type_.__name__} is built in.")
        if type_ in self._by_type:
            taken = self._by_type[type_].wire_name
            raise RegistryError(f"expected a type registered once, but {type_.__name__} is {taken!r} already.")
        self._check_name(wire_name, type_)
        converter = Converter(
            type_,
            wire_name,
            cast("Callable[[object], object]", to_json),
            cast("Callable[[Wire], object]", from_json),
        )
        self._by_type[type_] = self._by_name[wire_name] = converter

    def _check_name(self, wire_name: str, type_: type) -> None:
        if wire_name.__class__ is not str or not 0 < len(wire_name) <= ID_CHARACTERS_MAX or not wire_name.isprintable():
            raise RegistryError(
                f"expected a wire name of 1 to {ID_CHARACTERS_MAX} printable characters for {type_.__name__}, "
                f"but found {shown(wire_name)}."
            )
        if wire_name in BY_NAME or wire_name in _PLAIN_NAMES:
            raise RegistryError(
                f"expected a wire name of your own for {type_.__name__}, but {wire_name!r} is built in."
            )
        if wire_name in self._by_name:
            taken = self._by_name[wire_name].type.__name__
            raise RegistryError(f"expected a wire name used once, but {wire_name!r} is the type {taken} already.")

    def register_enum(self, enum: type[Enum], wire_name: str) -> None:
        """Let contexts hold the members of an enum; they stand on the log by their names, not their values.

        Args:
            enum: The class; a name, once used, must stay in it.
            wire_name: The `$type` on the log.

        Raises:
            RegistryError: As `register`; or it is no enum, or has flags, whose combinations have no names.
        """
        if not (isinstance(cast("object", enum), type) and issubclass(enum, Enum)) or issubclass(enum, Flag):
            raise RegistryError(
                f"expected an Enum other than a Flag to register as {wire_name!r}, but found {shown(enum)}."
            )

        def to_json(member: Enum) -> str:
            return member.name

        def from_json(name: str) -> Enum:
            return enum[name]

        self.register(enum, wire_name, to_json, from_json)

    @property
    def names(self) -> tuple[str, ...]:
        """The wire names, in the order registered."""
        return tuple(self._by_name)

    def of_type(self, type_: type) -> Converter | None:
        """Return the converter of exactly this type, or None."""
        return self._by_type.get(type_)

    def of_name(self, wire_name: str) -> Converter | None:
        """Return the converter with this wire name, or None."""
        return self._by_name.get(wire_name)
