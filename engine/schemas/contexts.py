"""The definitions of contexts and of the values in them, as JSON Schemas."""

from typing import Final

from pydantic.json_schema import JsonSchemaValue

from engine.context.typed import FORMS, TypedForm
from engine.context.values import TYPE, VALUE
from engine.limits import CONTEXT_BYTES_MAX, CONTEXT_DEPTH_MAX, CONTEXT_VALUES_MAX, INTEGER_MAX, INTEGER_MIN

CONTEXT: Final = "Context"
CONTEXT_VALUE: Final = "ContextValue"
_TYPED: Final = "TypedValue"
_PLAIN: Final = "PlainValue"


def context_definitions(template: str) -> JsonSchemaValue:
    """Return the definitions by name.

    They hold what can be said of one value: limits of the whole stand in words, and so does what a text of the right
    form may still get wrong, such as the 30th of February.

    Args:
        template: The reference to a definition, with `{model}` for its name.
    """
    value, typed, plain = ({"$ref": template.format(model=name)} for name in (CONTEXT_VALUE, _TYPED, _PLAIN))
    return {
        CONTEXT: {
            "description": f"The data that flows through a run: at most {CONTEXT_BYTES_MAX:,} bytes as JSON, "
            f"{CONTEXT_VALUES_MAX:,} values, and {CONTEXT_DEPTH_MAX} objects and lists inside each other.",
            **_object(value),
        },
        CONTEXT_VALUE: {
            "description": f"A value in a context. Integers are between {INTEGER_MIN} and {INTEGER_MAX}.",
            "anyOf": [*_json(value), typed],
        },
        _TYPED: {
            "description": "A value that JSON does not know: of a type in this table, or of one that a program added.",
            "anyOf": [
                *(_typed({"const": form.name}, _text(form)) for form in FORMS),
                _typed({"type": "string", "not": {"enum": [form.name for form in FORMS]}}, plain),
            ],
        },
        _PLAIN: {"description": "JSON without typed values.", "anyOf": _json(plain)},
    }


def _json(inner: JsonSchemaValue) -> list[JsonSchemaValue]:
    return [
        {"type": ["null", "boolean", "number", "string"]},
        {"type": "array", "items": inner},
        _object(inner),
    ]


def _object(inner: JsonSchemaValue) -> JsonSchemaValue:
    return {"type": "object", "propertyNames": {"not": {"const": TYPE}}, "additionalProperties": inner}


def _typed(name: JsonSchemaValue, value: JsonSchemaValue) -> JsonSchemaValue:
    return {
        "type": "object",
        "properties": {TYPE: name, VALUE: value},
        "required": [TYPE, VALUE],
        "additionalProperties": False,
    }


def _text(form: TypedForm) -> JsonSchemaValue:
    # Some readers of schemas take the digits of every script for digits.
    pattern = form.pattern.pattern.replace(r"\d", "[0-9]")
    return {"type": "string", "pattern": f"^({pattern})$", "examples": [form.example]}
