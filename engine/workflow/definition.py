"""A workflow as data: an immutable model, its canonical JSON and its version."""

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Self

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, model_validator

from engine.limits import (
    DEFINITION_BYTES_MAX,
    DEFINITION_CONNECTIONS_MAX,
    DEFINITION_NODES_MAX,
    NODE_EXECUTIONS_DEFAULT,
    NODE_EXECUTIONS_MAX,
    TITLE_CHARACTERS_MAX,
)
from engine.workflow.json_data import require_json
from engine.workflow.names import Name


def _require_text(text: str) -> str:
    if not text.strip():
        raise ValueError("expected a text that is not blank")
    return require_json(text)


Title = Annotated[str, Field(max_length=TITLE_CHARACTERS_MAX), AfterValidator(_require_text)]
"""Words for people, not blank."""


class Part(BaseModel):
    """Base of the models a definition is made of: immutable, no unknown fields, no silent conversions."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )

    def model_copy(self, *, update: Mapping[str, object] | None = None, deep: bool = False) -> Self:  # noqa: ARG002 - it is always deep
        """Return a copy, with other values for some fields; it is checked as if it were read from a file.

        Args:
            update: Values by the names of their fields, as models or as data.
            deep: Has no meaning: a copy shares nothing that could change.

        Raises:
            pydantic.ValidationError: A field does not exist or cannot have this value.
        """
        # Validated anew because pydantic's own copy takes any value, and takes along what was computed from the old.
        data = {name: _data(value) for name, value in (update or {}).items()}
        names = {name: field.serialization_alias or name for name, field in type(self).model_fields.items()}
        kept = self.model_dump(by_alias=False, warnings=False)
        fields = {name: value for name, value in kept.items() if not {name, names[name]} & data.keys()}
        return self.model_validate({**fields, **data})


def _data(value: object) -> object:
    """Return models, also those in a list, as data, which is validated even if they were not."""
    if isinstance(value, Part):
        return value.model_dump(warnings=False)
    return [_data(item) for item in value] if isinstance(value, (list, tuple)) else value


class NodeDefinition(Part):
    """One node.

    Attributes:
        id: Unique in the workflow.
        type: The name of its node type.
        title: Words for people; the id unless given.
        configuration: What its node type's configuration model reads; kept as written.
    """

    id: Name
    type: Name
    title: Title = ""
    configuration: Annotated[dict[str, JsonValue], AfterValidator(require_json)] = {}

    @model_validator(mode="before")
    @classmethod
    def _title_is_the_id(cls, data: object) -> object:
        if isinstance(data, Mapping) and "title" not in data and isinstance(data.get("id"), str):
            return {**data, "title": data["id"]}
        return data


class Connection(Part):
    """An arrow from an output of one node to another node.

    Attributes:
        source: Id of the node it leaves; `from` in files.
        output: The output it leaves by.
        to: Id of the node it enters.
    """

    source: Name = Field(validation_alias="from", serialization_alias="from")
    output: Name = "next"
    to: Name


class WorkflowDefinition(Part):
    """A workflow: nodes and the connections between them.

    The model finds wrong types, names and sizes; `engine.workflow.validation` checks the graph and the nodes'
    configurations.

    Attributes:
        id: Stays the same over the workflow's versions.
        name: Words for people; several workflows may have the same.
        description: More words for people.
        nodes: In the order written.
        connections: In the order written.
        node_execution_limit: Node executions of one run before it fails.
    """

    id: Name
    name: Title
    description: Annotated[str, AfterValidator(require_json)] | None = None
    nodes: tuple[NodeDefinition, ...] = Field(strict=False, max_length=DEFINITION_NODES_MAX)
    connections: tuple[Connection, ...] = Field(default=(), strict=False, max_length=DEFINITION_CONNECTIONS_MAX)
    node_execution_limit: int = Field(default=NODE_EXECUTIONS_DEFAULT, ge=1, le=NODE_EXECUTIONS_MAX)

    @model_validator(mode="after")
    def _fits_a_record(self) -> Self:
        size = len(self._canonical)
        if size > DEFINITION_BYTES_MAX:
            raise ValueError(f"expected at most {DEFINITION_BYTES_MAX} bytes of canonical JSON, found {size}")
        return self

    @cached_property
    def _canonical(self) -> bytes:
        return orjson.dumps(self.model_dump(), option=orjson.OPT_SORT_KEYS)

    def canonical(self) -> bytes:
        """Return the canonical JSON, UTF-8.

        The fields of the definition, of its nodes and of its connections, all written out whether given or default;
        keys sorted by code point, no spaces, numbers as orjson writes them (`1` and `1.0` differ). The order of
        nodes and connections counts. A node's configuration is as written: its defaults are its node type's, which
        may change with the code, and an old workflow must keep its version.
        """
        return self._canonical

    @cached_property
    def version(self) -> str:
        """SHA-256 of the canonical JSON, 64 hexadecimal digits."""
        return hashlib.sha256(self._canonical).hexdigest()

    @classmethod
    def from_canonical(cls, data: bytes) -> Self:
        """Return the definition with this canonical JSON.

        Raises:
            pydantic.ValidationError: The bytes are no definition.
        """
        return cls.model_validate_json(data, by_alias=True, by_name=False)
