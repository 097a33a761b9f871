"""Findings: what is wrong with a definition, where, in our own words."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from engine.workflow.names import NAME_PATTERN, NAME_WORDS, listed, suggest

Location = tuple[int | str, ...]

_SHOWN_CHARACTERS: Final = 80
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


def translated(error: ValidationError, model: type[BaseModel]) -> Iterator[tuple[Location, str]]:
    """Yield where and what each problem is that the model found."""
    for details in error.errors(include_url=False):
        location = details["loc"]
        if details["type"] == "extra_forbidden":
            known = _fields(model, location[:-1])
            wrong = str(location[-1])
            yield location, f"unknown field; expected one of: {listed(known)}{suggest(wrong, known)}"
        else:
            yield location, _message(details)


def described(value: object) -> str:
    """Return a value found in a definition, for a message."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return repr(value) if len(value) <= _SHOWN_CHARACTERS else f"{value[:_SHOWN_CHARACTERS]!r}..."
        case int() | float():
            return str(value) if not isinstance(value, int) or value.bit_length() <= 64 else "an integer beyond 64 bits"
        case Mapping():
            return "an object"
        case list() | tuple():
            return f"a list of {len(value)}"
        case _:
            return f"a value of Python's type {type(value).__name__}"


def _message(details: ErrorDetails) -> str:
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    found = f"found {described(value)}"
    match kind:
        case "missing":
            return "expected a value, found nothing"
        case "string_pattern_mismatch" if context.get("pattern") == NAME_PATTERN:
            return f"expected {NAME_WORDS}, {found}"
        case "string_too_long":
            return f"expected at most {context['max_length']} characters, found {len(value)}"
        case "too_long" | "too_short":
            bound = f"at most {context['max_length']}" if kind == "too_long" else f"at least {context['min_length']}"
            return f"expected {bound} in the list, found {context['actual_length']}"
        case "greater_than_equal":
            return f"expected at least {context['ge']}, {found}"
        case "less_than_equal":
            return f"expected at most {context['le']}, {found}"
        case "literal_error":
            allowed = str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
            return (
                f"expected one of {listed(allowed)}, {found}{suggest(value, allowed) if isinstance(value, str) else ''}"
            )
        case "value_error":
            return str(context["error"])
        case _ if (expected := _KINDS.get(kind.removesuffix("_type"))) is not None:
            return f"expected {expected}, {found}"
        case _:
            return f"{details['msg'][:1].lower()}{details['msg'][1:]}, {found}"


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
