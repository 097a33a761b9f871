"""Refusals: the errors that writing a value and checking a foreign one have in common, with their place. Pure."""

from math import isfinite
from typing import Final

from engine.context.errors import (
    ContextCountError,
    ContextDepthError,
    ContextFloatError,
    ContextIntegerError,
    ContextNameError,
    ContextTextError,
    ContextUnregisteredError,
)
from engine.context.paths import is_text, render
from engine.context.values import TYPE, Path, shown, shown_integer
from engine.errors import ContextError
from engine.limits import CONTEXT_DEPTH_MAX, CONTEXT_VALUES_MAX, INTEGER_MAX, INTEGER_MIN

_PRINTED_CHARACTERS: Final = 40

SCALARS: Final = frozenset({type(None), bool, int, float, str})
"""The types whose values stand plain on the log."""


def too_deep(path: Path) -> ContextDepthError:
    """Return the error for a container at the path, which is one too many inside each other."""
    return ContextDepthError(
        f"expected at most {CONTEXT_DEPTH_MAX} containers inside each other, but found more {place_of(path)}."
    )


def too_many(path: Path) -> ContextCountError:
    """Return the error for a container at the path, with which there are too many values."""
    return ContextCountError(f"expected at most {CONTEXT_VALUES_MAX:,} values, but found more {place_of(path)}.")


def place_of(path: Path) -> str:
    """Return where that is, in words for error texts; a long path is cut in its middle."""
    text = render(path)
    if len(text) > 2 * _PRINTED_CHARACTERS:
        text = f"{text[:_PRINTED_CHARACTERS]}...{text[-_PRINTED_CHARACTERS:]}"
    return f"at {text!r}" if text else "in the whole"


def scalar_error(value: object, path: Path) -> ContextError | None:
    """Return why a None, bool, int, float or str of exactly that type cannot be held, or None when it can."""
    if type(value) is int and not INTEGER_MIN <= value <= INTEGER_MAX:
        return ContextIntegerError(
            f"expected an int of signed 64 bits, from {INTEGER_MIN} to {INTEGER_MAX}, "
            f"but found {shown_integer(value)} {place_of(path)}."
        )
    if type(value) is float and not isfinite(value):
        return ContextFloatError(f"expected a finite float, but found {value} {place_of(path)}.")
    if type(value) is str and not is_text(value):
        return ContextTextError(f"expected text without lone surrogates, but found one {place_of(path)}.")
    return None


def name_error(name: object, path: Path) -> ContextError | None:
    """Return why an object at the path cannot have a value under this name, or None when it can."""
    if type(name) is not str:
        return ContextNameError(f"expected names that are str, but found {shown(name)} {place_of(path)}.")
    if name == TYPE:
        return ContextNameError(f"expected names other than {TYPE!r}, which marks typed values, {place_of(path)}.")
    if not name.isascii() and not is_text(name):
        return ContextTextError(f"expected names without lone surrogates, but found {name!a} {place_of(path)}.")
    return None


def unknown_type(name: str, path: Path) -> ContextUnregisteredError:
    """Return the error for a typed value at the path whose `$type` nobody knows."""
    return ContextUnregisteredError(
        f"expected a registered type, but found the {TYPE} {shown(name)} {place_of(path)}.",
        hint="Register a converter under this name and give its registry to the context.",
    )
