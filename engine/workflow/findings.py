"""Findings: what is wrong with a definition, where, in our own words."""

import reprlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from engine.limits import INTEGER_MAX, INTEGER_MIN
from engine.workflow.json_data import NotJSONError
from engine.workflow.names import NAME_PATTERN, NAME_WORDS, listed, suggest

Location = tuple[int | str, ...]

_BOUNDS: Final = {
    "greater_than_equal": ("at least {}", "ge"),
    "less_than_equal": ("at most {}", "le"),
    "string_too_long": ("at most {} characters", "max_length"),
    "too_long": ("at most {} in the list", "max_length"),
    "too_short": ("at least {} in the list", "min_length"),
}
_KINDS: Final = {
    "string": "a text",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "dict": "an object",
    "model": "an object",
    "model_attributes": "an object",
    "tuple": "a list",
    "list": "a list",
}


class Finding(NamedTuple):
    """One problem of a definition.

    Attributes:
        source: The file or other origin; may be empty.
        node: Id of the node, `nodes[3]` where it has none; empty when it is about the workflow.
        field: Dotted path of the field in the node or the workflow, such as `connections[2].to`; may be empty.
        message: What was expected, and what was found.
    """

    source: str
    node: str
    field: str
    message: str

    def __str__(self) -> str:
        """Return the finding as one line."""
        places = (self.source, f"node '{self.node}'" if self.node else "", self.field)
        place = ", ".join(filter(None, places))
        return f"{place}: {self.message}" if place else self.message


def dotted(location: Sequence[int | str]) -> str:
    """Return a location as text: `cases[0].when`."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def translated(refusal: ValidationError, model: type[BaseModel]) -> Iterator[tuple[Location, str]]:
    """Yield where and what each problem is that the model found."""
    for details in refusal.errors(include_url=False):
        location = details["loc"]
        if details["type"] == "too_short" and len(details["input"]) >= details["ctx"]["min_length"]:
            continue  # only the items that were right are counted: the wrong ones are findings of their own
        if details["type"] == "extra_forbidden":
            known = _fields(model, location[:-1])
            wrong = str(location[-1])
            yield location, f"unknown field; expected one of: {listed(known)}{suggest(wrong, known)}"
        elif isinstance(error := details.get("ctx", {}).get("error"), NotJSONError):
            yield (*location, *error.place), error.problem
        else:
            yield location, _message(details)


def described(value: object) -> str:
    """Return a value found in a definition, for a message."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (str, float)):
        return reprlib.repr(value)
    if isinstance(value, int):
        return str(value) if INTEGER_MIN <= value <= INTEGER_MAX else "an integer beyond 64 bits"
    kinds = ((Mapping, "an object"), (list | tuple, "a list"))
    return next((words for kind, words in kinds if isinstance(value, kind)), f"Python's {type(value).__name__}")


def _message(details: ErrorDetails) -> str:
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "missing":
        return "expected a value, found nothing"
    if kind == "value_error":
        return str(context["error"])
    if kind == "string_unicode":
        return "expected Unicode text, found a lone surrogate"
    expected = _expected(kind, context) or f"{details['msg'][:1].lower()}{details['msg'][1:]}"
    if kind == "literal_error" and isinstance(value, str):
        return f"{expected}, found {described(value)}{suggest(value, _allowed(context))}"
    if kind in {"too_long", "too_short"}:
        return f"{expected}, found {context['actual_length']}"
    return f"{expected}, found {described(value)}"


def _expected(kind: str, context: Mapping[str, object]) -> str | None:
    """Return what was expected, in our words, or None for a kind of error that these models do not have."""
    if kind == "literal_error":
        return f"expected one of {listed(_allowed(context))}"
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return f"expected {words.format(context[bound])}"
    if kind == "string_pattern_mismatch" and context.get("pattern") == NAME_PATTERN:
        return f"expected {NAME_WORDS}"
    known = _KINDS.get(kind.removesuffix("_type"))
    return f"expected {known}" if known is not None else None


def _allowed(context: Mapping[str, object]) -> list[str]:
    return str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", ")


def _fields(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """Return the names, as files have them, of the fields of the model at a location."""
    for part in location:
        if isinstance(part, str):
            field = next(
                (field for name, field in model.model_fields.items() if part in {name, _alias(model, name)}), None
            )
            inner = _model_in(field.annotation) if field is not None else None
            if inner is None:
                return []
            model = inner
    return [_alias(model, name) for name in model.model_fields]


def _alias(model: type[BaseModel], name: str) -> str:
    return model.model_fields[name].serialization_alias or name


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)
