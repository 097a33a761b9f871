"""The start node: checks what the run was given, and fills in what it need not be given."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, cast, get_args
from typing import Literal as OneOf

from pydantic import JsonValue, model_validator

from engine.context.changes import apply
from engine.context.paths import find, parse
from engine.context.values import MISSING, TYPE, Change, Wire, WireObject, describe
from engine.errors import ContextError
from engine.nodes.fields import Items, Literal, PathText, entries, repeated, unknown_types
from engine.nodes.node_type import Configuration, Done, Failed, NodeType, Problem, Step

if TYPE_CHECKING:
    from engine.registry import Registry

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


_TYPES: Final = frozenset(get_args(InputType))


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
        if self.has_default:
            for message in _wrong_default(self.default, self.type, required=self.required):
                raise ValueError(message)
        return self

    @property
    def has_default(self) -> bool:
        """Whether a default is given; null is one too."""
        return "default" in self.model_fields_set


def _wrong_default(default: JsonValue, type_: str, *, required: object) -> Iterator[str]:
    if required is True:
        yield "expected either 'required: true' or a default, found both"
    elif not fits(default, type_):
        yield f"expected a default of type {type_}, found {describe(default)}"


class StartConfiguration(Configuration):
    """The configuration of a start node.

    Attributes:
        inputs: What a run is given; without any, every context is taken.
    """

    inputs: Items[Input] = ()

    @model_validator(mode="after")
    def _paths_differ(self) -> "StartConfiguration":
        for message in _repeated_paths(entry.path for entry in self.inputs):
            raise ValueError(message)
        return self


def _repeated_paths(paths: Iterable[object]) -> Iterator[str]:
    for path, first, index in repeated(paths):
        yield f"expected each path once, found '{path}' in inputs {first} and {index}"


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

    def check_data(self, data: Mapping[str, object], registry: "Registry | None") -> Iterable[Problem]:
        """Yield a problem for each path that stands twice, and for types in defaults that are not registered."""
        inputs = entries(data, "inputs")
        for message in _repeated_paths(entry.get("path") for entry in inputs):
            yield Problem("", message)
        for index, entry in enumerate(inputs):
            default, type_ = cast("JsonValue", entry.get("default")), entry.get("type")
            wrong = False
            if "default" in entry and isinstance(type_, str) and type_ in _TYPES:
                for message in _wrong_default(default, type_, required=entry.get("required")):
                    wrong = True
                    yield Problem(f"inputs.{index}", message)
            # One that is not of its input's type is not said to be of none as well.
            if registry is not None and not wrong:
                for message in unknown_types(default, registry.converters):
                    yield Problem(f"inputs.{index}.default", message)

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
