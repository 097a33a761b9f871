"""Fields that the configurations of several node types have."""

from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field, JsonValue

from engine.context.check import check_wire
from engine.context.paths import check_settable, parse
from engine.context.values import VALUE
from engine.errors import ContextError
from engine.expressions import ExpressionError, check

ItemT = TypeVar("ItemT")

Items = Annotated[tuple[ItemT, ...], Field(strict=False)]
"""Several of something, in order; a list in files."""


def _readable(path: str) -> str:
    try:
        check_settable(parse(path))
    except ContextError as error:
        raise ValueError(str(error)) from error
    return path


def _expression(text: str) -> str:
    try:
        check(text)
    except ExpressionError as error:
        raise ValueError(str(error)) from error
    return text


def _literal(value: JsonValue) -> JsonValue:
    try:
        check_wire({VALUE: value}, unknown_types=True)
    except ContextError as error:
        raise ValueError(str(error)) from error
    return value


PathText = Annotated[str, AfterValidator(_readable)]
"""A path into a context, such as `order.lines[0].sku`."""

ExpressionText = Annotated[str, AfterValidator(_expression)]
"""A JMESPath expression."""

Literal = Annotated[JsonValue, AfterValidator(_literal)]
"""A value that a context can hold; typed ones as `{"$type": "datetime", "value": "..."}`."""
