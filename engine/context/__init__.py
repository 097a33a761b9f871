"""Contexts: the typed, JSON-like data that flows along the connections of a workflow."""

from engine.context.context_list import ContextList
from engine.context.context_object import ContextObject
from engine.context.converters import Converters
from engine.context.errors import (
    ContextChangeError,
    ContextContainerError,
    ContextConverterError,
    ContextCountError,
    ContextDepthError,
    ContextFloatError,
    ContextFormError,
    ContextIndexError,
    ContextIntegerError,
    ContextJSONError,
    ContextKeyError,
    ContextMissingError,
    ContextNameError,
    ContextPathError,
    ContextSizeError,
    ContextTextError,
    ContextTimeError,
    ContextTypeError,
    ContextUnregisteredError,
    ContextValueError,
)
from engine.errors import ContextError

__all__ = [
    "ContextChangeError",
    "ContextContainerError",
    "ContextConverterError",
    "ContextCountError",
    "ContextDepthError",
    "ContextError",
    "ContextFloatError",
    "ContextFormError",
    "ContextIndexError",
    "ContextIntegerError",
    "ContextJSONError",
    "ContextKeyError",
    "ContextList",
    "ContextMissingError",
    "ContextNameError",
    "ContextObject",
    "ContextPathError",
    "ContextSizeError",
    "ContextTextError",
    "ContextTimeError",
    "ContextTypeError",
    "ContextUnregisteredError",
    "ContextValueError",
    "Converters",
]
