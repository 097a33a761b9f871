"""A context for people: laid out, typed values readable, every escape neutralised."""

import orjson
from rich.pretty import pretty_repr

from engine.context.values import TYPE, VALUE


class _Typed:
    """Prints a typed value as its type and text: `datetime(2026-03-01T09:30:00)`."""

    def __init__(self, kind: object, text: object) -> None:
        self._kind = kind
        self._text = text

    def __repr__(self) -> str:
        text = repr(self._text)
        return f"{repr(self._kind)[1:-1]}({text[1:-1] if isinstance(self._text, str) else text})"


def context_text(text: str | None, columns: int) -> str:
    """Return a context, given as JSON text, for people.

    Args:
        text: As in `Run.output_context`.
        columns: Where lines are broken when they can be.
    """
    if text is None:
        return ""
    return pretty_repr(_readable(orjson.loads(text)), max_width=columns, indent_size=2)


def _readable(wire: object) -> object:
    if isinstance(wire, list):
        return [_readable(item) for item in wire]
    if isinstance(wire, dict):
        if TYPE in wire:
            return _Typed(wire[TYPE], wire.get(VALUE))
        return {name: _readable(value) for name, value in wire.items()}
    return wire
