"""Printing: a bounded text of a container for people, from its wire form."""

from reprlib import Repr
from typing import Final

from engine.context.values import TYPE, VALUE, Wire

_CHARACTERS: Final = 1_000


class _Printer(Repr):
    """Cuts long texts and containers, and prints typed values as `datetime('...')`."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxdict = self.maxlist = 12
        self.maxstring = self.maxother = 80

    def repr_dict(self, x: dict[object, object], level: int) -> str:
        if TYPE in x:
            return f"{x[TYPE]}({self.repr1(x.get(VALUE), level - 1)})"
        if level <= 0:
            return "{...}"
        parts = [f"{self.repr1(name, level - 1)}: {self.repr1(x[name], level - 1)}" for name in list(x)[: self.maxdict]]
        return "{" + ", ".join([*parts, "..."] if len(x) > self.maxdict else parts) + "}"


_PRINTER: Final = _Printer()


def printed(name: str, wire: Wire) -> str:
    """Return the text of a container of this class name; at most about a thousand characters."""
    text = _PRINTER.repr(wire) if wire else ""
    if len(text) > _CHARACTERS:
        text = f"{text[:_CHARACTERS]}..."
    return f"{name}({text})"
