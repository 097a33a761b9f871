"""Applications: modules of users that hold a registry or services, as `module:attribute` or `file.py:attribute`."""

import importlib
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Final, Literal

from engine.errors import ApplicationError
from engine.registry import Registry
from engine.workflow.names import suggest

Kind = Literal["application", "service"]
_FORM: Final = "Write it as module:attribute, such as shop.flows:{0}, or as a file, such as examples/app.py:{0}."
_EXAMPLES: Final[Mapping[Kind, str]] = {"application": "registry", "service": "Mail"}
_ENGINE: Final = Path(__file__).parent
_PYTHON: Final = Path(sysconfig.get_path("stdlib"))
_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})
"""Folders of what others wrote."""


class ApplicationNameError(ApplicationError):
    """The name of an application does not have the form of one."""


def load_application(name: str) -> Registry:
    """Return the registry that the name stands for; its module is imported.

    Args:
        name: `module:attribute`, where the working directory is searched after everything that is installed, or
            `path/file.py:attribute`.

    Raises:
        ApplicationNameError: The name has another form.
        ApplicationError: There is no such module, file or attribute, importing fails (the error inside is the cause),
            or the attribute is no Registry.
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
        ApplicationNameError: The name has another form.
        ApplicationError: There is no such module, file or attribute, or importing fails.
    """
    place, colon, attribute = name.rpartition(":")
    if not colon or not place or not attribute:
        raise ApplicationNameError(f"Expected the {kind} as module:attribute, found {name!r}.", hint=_form(kind))
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
    except (Exception, SystemExit) as error:
        # Whatever the application's own code raises while it is imported.
        raise _failed(name, kind, error) from error


def _from_file(path: str, kind: Kind) -> ModuleType:
    file = Path(path).resolve()
    if not _is_file(file):
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
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _failed(path, kind, error) from error
    return module


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        # No file can have such a name.
        return False


def _make_importable(directory: Path) -> str:
    if str(directory) not in sys.path:
        # Appended: a file of the user's must not stand in for a module of Python's or of a package.
        sys.path.append(str(directory))
    return str(directory)


def _form(kind: Kind) -> str:
    return _FORM.format(_EXAMPLES[kind])


def _place(error: BaseException) -> str:
    """Return the file and line where an error came up: the innermost of the user's own, as far as there is one."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno and _is_file(Path(error.filename)):
        # No line of that file was executed, so the traceback does not know it.
        return f"{error.filename}, line {error.lineno}"
    lines = [(file, line) for file, line in _lines(error.__traceback__) if not _is_machinery(file)]
    own = [(file, line) for file, line in lines if not _is_installed(file)] or lines
    return f"{own[-1][0]}, line {own[-1][1]}" if own else "an unknown place"


def _lines(trace: TracebackType | None) -> Iterator[tuple[str, int]]:
    while trace is not None:
        yield trace.tb_frame.f_code.co_filename, trace.tb_lineno
        trace = trace.tb_next


def _is_machinery(file: str) -> bool:
    """Return whether a file is none, or ours: nobody looks for a mistake of theirs there."""
    return file.startswith("<") or Path(file).is_relative_to(_ENGINE)


def _is_installed(file: str) -> bool:
    """Return whether a file is Python's own or a package's."""
    return Path(file).is_relative_to(_PYTHON) or not _INSTALLED.isdisjoint(Path(file).parts)


def _failed(name: str, kind: Kind, error: BaseException) -> ApplicationError:
    return ApplicationError(
        f"Importing the {kind} {name} failed: {type(error).__name__}: {error}",
        hint=f"It was raised at {_place(error)}.",
    )
