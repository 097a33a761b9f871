"""`audit` and `export`: verify a log or a bundle, and make the bundle of a run."""

import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Final

import orjson
from cyclopts import Parameter

from engine.arguments import check_run_id
from engine.cli.exit_codes import SUCCESS
from engine.cli.failures import ArgumentsError
from engine.cli.interruption import Interruptible
from engine.cli.long_work import long_work
from engine.cli.options import READING_OPTIONS, ReadingOptions
from engine.cli.output import Output
from engine.cli.reading import open_reading
from engine.cli.working_directory import log_origin, working_directory
from engine.errors import RunIdInvalidError, RunlineError
from projections.audit.audit import Progress, audit_log, log_identity
from projections.audit.bundle import read_bundle
from projections.audit.bundle_audit import audit_bundle
from projections.audit.errors import BundleError
from projections.audit.exporting import export_run
from projections.audit.report import (
    Violations,
    audit_json,
    bundle_json,
    print_audit,
    print_bundle,
    violations_of,
)
from projections.audit.roots import Roots, compare

_VIOLATED: Final = 1
"""The exit code when a rule is broken."""
_KEPT: Final = "what was read so far is kept"
_KAFKA: Final = "kafka:/"
"""How a path begins that was made of the location of a log on Kafka."""
_Work = Annotated[
    Path | None, Parameter(name="--work", help="Where an interrupted one goes on from [a temporary directory]")
]


def audit(
    bundle: Annotated[Path | None, Parameter(name="BUNDLE")] = None,
    /,
    *,
    roots: Annotated[Path | None, Parameter(name="--roots", help="A new file for the roots of what was found")] = None,
    against: Annotated[Path | None, Parameter(name="--against", help="A file with roots to compare with")] = None,
    work: _Work = None,
    options: ReadingOptions = READING_OPTIONS,
) -> int:
    """Verify every record of the log, or a bundle. Works beside a running engine, changes nothing.

    Parameters
    ----------
    bundle
        A file that `runline export` wrote; without it the log is verified.
    """
    output = options.output()
    if bundle is not None and (roots is not None or work is not None):
        raise ArgumentsError("Expected --roots and --work only for the audit of a log, but found them beside a bundle.")
    _require_new(roots, "--roots")
    known = None if against is None else Roots.read(against)
    if bundle is not None:
        return _audit_bundle(output, bundle, known)
    return _audit_log(
        output, options, roots=roots, known=known, named={"roots": roots, "against": against, "work": work}
    )


def export(
    run_id: Annotated[str, Parameter(name="RUN")],
    /,
    *,
    to: Annotated[Path | None, Parameter(name="--output", help="A new file for the bundle [RUN.runline.json]")] = None,
    work: _Work = None,
    options: ReadingOptions = READING_OPTIONS,
) -> int:
    """Write a run's bundle: definition, commits, fences and the proof that they are on the log.

    Parameters
    ----------
    run_id
        The run's id.
    """
    check_run_id(run_id)
    output = options.output()
    target = to or Path(f"{run_id}.runline.json")
    _require_new(target, "--output")
    settings = options.load().settings
    resume = f"runline export {run_id}{_words({'output': to, 'work': work})}{options.repeated()}"
    interruptible = Interruptible()
    interruptible.begun = _KEPT

    async def write() -> int:
        async with open_reading(settings) as log:
            origin = log_origin(settings.data)
            directory = work or working_directory("export", f"{run_id} {await log_identity(log)} {origin}")
            with _shown(output, "exporting", resume) as progress:
                bundle = await export_run(log, run_id, directory, progress, origin)
        data = orjson.dumps(bundle.json(), option=orjson.OPT_INDENT_2)
        _write(target, "--output", data)
        output.document({"bundle": str(target), "bytes": len(data), "root": bundle.root.hex()})
        output.line(f"{target}: {len(bundle.records)} records, root {bundle.root.hex()}")
        return SUCCESS

    return interruptible.run(write())


def _audit_log(
    output: Output,
    options: ReadingOptions,
    *,
    roots: Path | None,
    known: Roots | None,
    named: Mapping[str, Path | None],
) -> int:
    settings = options.load().settings
    resume = f"runline audit{_words(named)}{options.repeated()}"
    interruptible = Interruptible()
    interruptible.begun = _KEPT

    async def verify() -> int:
        async with open_reading(settings) as log:
            origin = log_origin(settings.data)
            directory = named["work"] or working_directory("audit", f"{await log_identity(log)} {origin}")
            with _shown(output, "auditing", resume) as progress:
                found = await audit_log(log, directory, progress, origin)
            comparison = None if known is None else await compare(known, found, log)
        violations = violations_of(found, comparison)
        output.document({"log": str(settings.data), **audit_json(found, comparison, violations)})
        print_audit(output, found, comparison, violations)
        if roots is not None:
            _write(roots, "--roots", orjson.dumps(Roots.of(found).json(), option=orjson.OPT_INDENT_2))
        return _VIOLATED if violations.count else SUCCESS

    return interruptible.run(verify())


def _words(named: Mapping[str, Path | None]) -> str:
    """Return options as they would be typed again, with a space in front of each."""
    return "".join(f" --{name} {shlex.quote(str(path))}" for name, path in named.items() if path is not None)


def _audit_bundle(output: Output, path: Path, known: Roots | None) -> int:
    try:
        bundle = read_bundle(path)
    except BundleError as error:
        raise BundleError(error.args[0], hint=_meant(path) or error.hint) from error
    found = audit_bundle(bundle, known)
    output.document(bundle_json(found))
    print_bundle(output, found)
    return _VIOLATED if Violations(found.violations, found.violation_counts).count else SUCCESS


def _meant(path: Path) -> str:
    """Return how to verify what a path names that is no bundle, or an empty text where nobody can tell."""
    name = str(path)
    if path.is_dir() or name.startswith(_KAFKA):
        log = "kafka://HOST:PORT/PREFIX" if name.startswith(_KAFKA) else shlex.quote(name)
        return f"A bundle is a file that `runline export RUN` wrote. To verify a log: runline audit --data {log}"
    try:
        check_run_id(name)
    except RunIdInvalidError:
        return ""
    return (
        f"To verify a run, audit its bundle: runline export {name}, then runline audit {name}.runline.json. "
        "To verify the log with all of its runs: runline audit"
    )


@contextmanager
def _shown(output: Output, title: str, resume: str) -> Iterator[Progress]:
    """Show how far something is."""
    with long_work(output, title, resume=resume) as work:

        def total(count: int) -> None:
            work.total = count

        yield Progress(total, work.advance)


def _require_new(path: Path | None, option: str) -> None:
    """Refuse what cannot become a new file, before hours are spent on what is to stand in it."""
    if path is None:
        return
    if path.exists() or path.is_symlink():
        raise _there(path, option)
    if not path.parent.is_dir():
        raise ArgumentsError(f"Expected a new file for {option}, but there is no directory {path.parent}.")


def _there(path: Path, option: str) -> ArgumentsError:
    return ArgumentsError(
        f"Expected a new file for {option}, but {path} is there.",
        hint="Name another: what was written down once is not overwritten.",
    )


def _write(path: Path, option: str, data: bytes) -> None:
    """Write a new file, whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_bytes(data + b"\n")
        # Unlike a file that takes another's place, a link to it is not made where there is one meanwhile.
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            raise
        except OSError:
            # A disk that knows no links.
            with path.open("xb") as file:
                file.write(data + b"\n")
    except FileExistsError as error:
        raise _there(path, option) from error
    except OSError as error:
        hint = f"Name another for {option}."
        raise RunlineError(f"{path} cannot be written: {error.strerror}.", hint=hint) from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
