"""The start node: checks what the run was given, and fills in what it need not be given."""

from typing import Final
from typing import Literal as OneOf

from pydantic import model_validator

from engine.context.changes import apply
from engine.context.paths import find, parse
from engine.context.values import MISSING, TYPE, Change, Wire, WireObject, describe
from engine.errors import ContextError
from engine.nodes.fields import Items, Literal, PathText
from engine.nodes.node_type import Configuration, Done, Failed, NodeType, Step

InputType = OneOf[
    "string", "integer", "number", "boolean", "object", "list", "datetime", "date", "time", "timedelta", "uuid",
    "decimal", "bytes", "any",
]  # fmt: skip

_JSON_TYPES: Final[dict[type, tuple[str, ...]]] = {
    bool: ("boolean",),
    str: ("string",),
    int: ("integer", "number"),
    float: ("number",),
    list: ("list",),
}


class Input(Configuration):
    """A value that a run is given.

    Attributes:
        path: Where it stands in the context.
        type: What it has to be; `number` takes integers too, `any` takes everything, null only fits `any`.
        required: Whether a run without it fails; true unless a default is given.
        default: What is put there when nothing stands there.
    """

    path: PathText
    type: InputType
    required: bool = True
    default: Literal = None

    @model_validator(mode="before")
    @classmethod
    def _a_default_makes_it_optional(cls, data: object) -> object:
        return {"required": False, **data} if isinstance(data, dict) and "default" in data else data

    @model_validator(mode="after")
    def _default_fits(self) -> "Input":
        if self.has_default and self.required:
            raise ValueError("expected either 'required: true' or a default, found both")
        if self.has_default and not fits(self.default, self.type):
            raise ValueError(f"expected a default of type {self.type}, found {describe(self.default)}")
        return self

    @property
    def has_default(self) -> bool:
        """Whether a default is given; null is one too."""
        return "default" in self.model_fields_set


class StartConfiguration(Configuration):
    """The configuration of a start node.

    Attributes:
        inputs: What a run is given; without any, every context is taken.
    """

    inputs: Items[Input] = ()

    @model_validator(mode="after")
    def _paths_differ(self) -> "StartConfiguration":
        seen: dict[tuple[str | int, ...], int] = {}
        for index, entry in enumerate(self.inputs):
            first = seen.setdefault(parse(entry.path), index)
            if first != index:
                raise ValueError(f"expected each path once, found '{entry.path}' in inputs {first} and {index}")
        return self


def fits(value: Wire, type_: str) -> bool:
    """Return whether the value is of an input's type."""
    if type_ == "any":
        return True
    if isinstance(value, dict):
        return value.get(TYPE, "object") == type_
    # By class, because True is an int for Python and not for JSON.
    return type_ in _JSON_TYPES.get(value.__class__, ())


class Start(NodeType[StartConfiguration]):
    """Where every run begins."""

    name = "start"
    configuration = StartConfiguration

    def decide(self, configuration: StartConfiguration, context: WireObject) -> Step:
        """Fail naming all missing and mistyped inputs, otherwise set the defaults of those not given."""
        missing: list[str] = []
        mistyped: list[str] = []
        changes: list[Change] = []
        for entry in configuration.inputs:
            path = parse(entry.path)
            value = find(context, path)
            if value is not MISSING:
                if not fits(value, entry.type):
                    mistyped.append(f"{entry.type} at '{entry.path}', found {describe(value)}")
            elif entry.required:
                missing.append(f"{entry.type} at '{entry.path}', found nothing")
            elif entry.has_default:
                changes.append({"op": "set", "path": [*path], "value": entry.default})
        if missing or mistyped:
            kind = "input_missing" if missing else "input_type"
            return Failed(kind, f"expected these inputs: {'; '.join(missing + mistyped)}")
        return _with_defaults(context, changes) if changes else Done()


def _with_defaults(context: WireObject, changes: list[Change]) -> Step:
    try:
        apply(context, changes)
    except ContextError as error:
        return Failed("default_not_settable", f"expected room for the defaults: {error}")
    return Done(changes, message=f"{len(changes)} default(s) set")
