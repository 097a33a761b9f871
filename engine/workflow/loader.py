"""Definitions from files: YAML or JSON."""

from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from engine.errors import DefinitionError
from engine.limits import DEFINITION_BYTES_MAX
from engine.workflow import json_text, yaml_text
from engine.workflow.definition import WorkflowDefinition
from engine.workflow.names import listed
from engine.workflow.validation import require_valid

if TYPE_CHECKING:
    from engine.registry import Registry

Format = Literal["yaml", "json"]

_FORMATS: Final[dict[str, Format]] = {".yaml": "yaml", ".yml": "yaml", ".json": "json"}


def load(path: str | Path, registry: "Registry | None" = None) -> WorkflowDefinition:
    """Return the definition in a file.

    Args:
        path: A file ending in .yaml, .yml or .json.
        registry: Makes known the node types, functions and predicates of an application; without it only the built-in
            node types are known, and functions are not checked.

    Raises:
        DefinitionError: The file cannot be read, or the definition in it has problems: all are listed.
    """
    return require_valid(read(path), registry, source=str(path))


def loads(
    text: str | bytes,
    format: Format,  # noqa: A002 - the word for it
    source: str = "definition",
    registry: "Registry | None" = None,
) -> WorkflowDefinition:
    """Return the definition in a text; like `load`.

    Args:
        text: The document.
        format: What it is written in.
        source: Its name, for errors.
        registry: As for `load`.

    Raises:
        DefinitionError: The definition has problems: all are listed.
    """
    return require_valid(parse(text, format, source), registry, source=source)


def read(path: str | Path) -> object:
    """Return the data in a definition's file, before anything but its form is checked.

    Raises:
        DefinitionError: The file cannot be read, is too large, or is no YAML or JSON.
    """
    path = Path(path)
    form = _FORMATS.get(path.suffix.lower())
    if form is None:
        raise DefinitionError(f"{path}: expected a file ending in {listed(_FORMATS)}, found '{path.suffix}'.")
    try:
        with path.open("rb") as file:
            data = file.read(DEFINITION_BYTES_MAX + 1)
    except OSError as error:
        raise DefinitionError(f"{path}: expected a readable file, found: {error.strerror}.") from error
    return parse(data, form, str(path))


def parse(text: str | bytes, format: Format, source: str = "definition") -> object:  # noqa: A002 - the word for it
    """Return the data in a definition's text, before anything but its form is checked.

    Raises:
        DefinitionError: It is too large, or is no YAML or JSON; the text names source, line and column.
    """
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(data) > DEFINITION_BYTES_MAX:
        raise DefinitionError(f"{source}: expected at most {DEFINITION_BYTES_MAX} bytes, found more.")
    try:
        decoded = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DefinitionError(
            f"{source}, line {line}: expected UTF-8, found the byte {data[error.start]:#04x}."
        ) from error
    reader = yaml_text if format == "yaml" else json_text
    return reader.read(decoded, source)
