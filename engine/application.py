"""Applications: modules of users that hold a registry or services, as `module:attribute` or `file.py:attribute`."""

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Final, Literal

from engine.errors import ApplicationError
from engine.registry import Registry
from engine.workflow.names import suggest

Kind = Literal["application", "service"]
_FORM: Final = "Write it as module:attribute, such as shop.flows:{0}, or as a file, such as examples/app.py:{0}."
_EXAMPLES: Final[Mapping[Kind, str]] = {"application": "registry", "service": "Mail"}


def load_application(name: str) -> Registry:
    """Return the registry that the name stands for; its module is imported.

    Args:
        name: `module:attribute`, where the working directory is searched after everything that is installed, or
            `path/file.py:attribute`.

    Raises:
        ApplicationError: The name has another form, there is no such module, file or attribute, importing fails (the
            error inside is the cause), or the attribute is no Registry.
    """
    found = load_attribute(name)
    if not isinstance(found, Registry):
        raise ApplicationError(
            f"Expected a Registry at {name}, found {type(found).__name__}.",
            hint="Name the variable that holds the Registry.",
        )
    return found


def load_attribute(name: str, kind: Kind = "application", what: str = "Registry") -> object:
    """Return what the name stands for; its module is imported.

    Args:
        name: As `load_application` takes it.
        kind: What it names, for people.
        what: What is expected there, for people.

    Raises:
        ApplicationError: The name has another form, there is no such module, file or attribute, or importing fails.
    """
    place, colon, attribute = name.rpartition(":")
    if not colon or not place or not attribute:
        raise ApplicationError(f"Expected the {kind} as module:attribute, found {name!r}.", hint=_form(kind))
    module = _from_file(place, kind) if place.endswith(".py") else _from_module(place, kind)
    found: object = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            near = suggest(part, [known for known in vars(module) if not known.startswith("_")])
            raise ApplicationError(
                f"The {kind} {place} has no attribute '{attribute}'{near}",
                hint=f"Name the variable that holds the {what}.",
            )
        found = getattr(found, part)
    return found


def _from_module(name: str, kind: Kind) -> ModuleType:
    directory = _make_importable(Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ApplicationError(
                f"There is no module '{error.name}' for the {kind} {name!r}.",
                hint=f"It is searched for among the installed packages, then in {directory}. {_form(kind)}",
            ) from error
        raise _failed(name, kind, error) from error
    except Exception as error:
        # Whatever the application's own code raises while it is imported.
        raise _failed(name, kind, error) from error


def _from_file(path: str, kind: Kind) -> ModuleType:
    file = Path(path).resolve()
    if not file.is_file():
        raise ApplicationError(f"There is no file {file} for the {kind}.", hint=_form(kind))
    # The same file is the same application: its functions are registered once.
    name = f"runline_application_{file}".replace(".", "_")
    if name in sys.modules:
        return sys.modules[name]
    _make_importable(file.parent)
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise _failed(path, kind, error) from error
    return module


def _make_importable(directory: Path) -> str:
    if str(directory) not in sys.path:
        # Appended: a file of the user's must not stand in for a module of Python's or of a package.
        sys.path.append(str(directory))
    return str(directory)


def _form(kind: Kind) -> str:
    return _FORM.format(_EXAMPLES[kind])


def _place(error: Exception) -> str:
    """Return the file and line where an error came up, the innermost."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "an unknown place" if trace is None else f"{trace.tb_frame.f_code.co_filename}, line {trace.tb_lineno}"


def _failed(name: str, kind: Kind, error: Exception) -> ApplicationError:
    return ApplicationError(
        f"Importing the {kind} {name} failed: {type(error).__name__}: {error}",
        hint=f"It was raised at {_place(error)}.",
    )
