"""JSON Schemas of our types: pydantic's, with contexts as they are checked and docstrings as descriptions."""

import re
from collections.abc import Mapping
from typing import Final, Literal, TypeVar

from pydantic import TypeAdapter
from pydantic.json_schema import DEFAULT_REF_TEMPLATE, GenerateJsonSchema, JsonSchemaValue

from engine.schemas.contexts import CONTEXT, CONTEXT_VALUE, context_definitions

T = TypeVar("T")

_WIRE: Final = "Wire"
"""The name of pydantic's own definition of a value in a context, which says less than `context_definitions`."""
_ATTRIBUTE: Final = re.compile(r"^    (\w+): (.*(?:\n     .*)*)$", re.MULTILINE)


class _Generator(GenerateJsonSchema):
    """Gives fields no titles: they would repeat their names."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - the library's signature
        return False


def schema_of(adapter: TypeAdapter[T]) -> JsonSchemaValue:
    """Return the schema of one type, complete in itself."""
    schema = adapter.json_schema(schema_generator=_Generator)
    definitions = schema.pop("$defs", {})
    finished = _Finisher(DEFAULT_REF_TEMPLATE).finish({"": schema, **definitions})
    root: JsonSchemaValue = finished.pop("")
    return {**root, "$defs": finished} if finished else root


def definitions_of(adapters: Mapping[str, TypeAdapter[object]], template: str) -> JsonSchemaValue:
    """Return the schemas of several models and typed dictionaries, and of what they are made of, by name.

    Args:
        adapters: The types by their own names.
        template: The reference to a definition, with `{model}` for its name.
    """
    mode: Literal["validation"] = "validation"
    inputs = [(name, mode, adapter) for name, adapter in adapters.items()]
    roots, shared = TypeAdapter.json_schemas(inputs, ref_template=template, schema_generator=_Generator)
    definitions: JsonSchemaValue = dict(shared["$defs"])
    for (name, _), root in roots.items():
        # One that nothing else refers to is not among the shared ones.
        if name not in definitions:
            definitions[name] = root
    return _Finisher(template).finish(definitions)


class _Finisher:
    """Turns pydantic's schemas into those that are published.

    Args:
        template: The reference to a definition, with `{model}` for its name.
    """

    def __init__(self, template: str) -> None:
        self._template = template
        self._wire = {"$ref": template.format(model=_WIRE)}
        self._has_contexts = False

    def finish(self, schemas: JsonSchemaValue) -> JsonSchemaValue:
        """Return the schemas, with definitions of contexts when there are any in them."""
        finished = {name: self._walk(schema) for name, schema in schemas.items() if name != _WIRE}
        return finished | context_definitions(self._template) if self._has_contexts else finished

    def _walk(self, schema: object) -> object:
        if isinstance(schema, list):
            return [self._walk(each) for each in schema]
        if not isinstance(schema, dict):
            return schema
        if schema == self._wire:
            return self._context(CONTEXT_VALUE)
        if schema.get("additionalProperties") in (self._wire, True):
            kept = {name: schema[name] for name in ("description",) if name in schema}
            return {**self._context(CONTEXT), **kept}
        # The discriminator is a word of OpenAPI; the types' constants tell alternatives apart as well.
        walked = {name: self._walk(each) for name, each in schema.items() if name != "discriminator"}
        _describe(walked)
        _require_type(walked)
        return walked

    def _context(self, name: str) -> JsonSchemaValue:
        self._has_contexts = True
        return {"$ref": self._template.format(model=name)}


def _describe(schema: JsonSchemaValue) -> None:
    """Hand the attributes in a docstring out to the properties that they describe."""
    text, found, attributes = str(schema.get("description", "")).partition("\n\nAttributes:\n")
    if found:
        schema["description"] = text
        for name, described in _ATTRIBUTE.findall(attributes):
            if name in schema["properties"]:
                schema["properties"][name].setdefault("description", " ".join(described.split()))


def _require_type(schema: JsonSchemaValue) -> None:
    """Require the type that the code fills in by itself: in a document it says what the document is."""
    properties = schema.get("properties")
    kind = properties.get("type") if isinstance(properties, dict) else None
    if isinstance(kind, dict) and "const" in kind and kind.pop("default", None) is not None:
        schema["required"] = [*schema.get("required", ()), "type"]
