"""`audit` and `export`: verify a log or a bundle, and make the bundle of a run."""

import hashlib
import os
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import orjson
from cyclopts import Parameter

from engine.cli.exit_codes import SUCCESS
from engine.cli.failures import ArgumentsError
from engine.cli.interruption import Interruptible
from engine.cli.long_work import long_work
from engine.cli.options import READING_OPTIONS, ReadingOptions
from engine.cli.output import Output
from engine.cli.reading import open_reading
from engine.errors import RunIdInvalidError, RunlineError
from projections.audit.audit import Progress, audit_log, log_identity
from projections.audit.bundle import read_bundle
from projections.audit.bundle_audit import audit_bundle
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
from projections.audit.shape import is_run_id

_VIOLATED: Final = 1
"""The exit code when a rule is broken."""
_KEPT: Final = "what was read so far is kept"
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
    settings = options.load().settings
    files = [
        (name, path) for name, path in (("roots", roots), ("against", against), ("work", work)) if path is not None
    ]
    resume = (
        f"runline audit{''.join(f' --{name} {shlex.quote(str(path))}' for name, path in files)}{options.repeated()}"
    )
    interruptible = Interruptible()
    interruptible.begun = _KEPT

    async def verify() -> int:
        async with open_reading(settings) as log:
            directory = work or _directory("audit", await log_identity(log))
            with _shown(output, "auditing", resume) as progress:
                found = await audit_log(log, directory, progress)
            comparison = None if known is None else await compare(known, found, log)
        violations = violations_of(found, comparison)
        if roots is not None:
            _write(roots, orjson.dumps(Roots.of(found).json(), option=orjson.OPT_INDENT_2))
        output.document({"log": str(settings.data), **audit_json(found, comparison, violations)})
        print_audit(output, found, comparison, violations)
        return _VIOLATED if violations.count else SUCCESS

    return interruptible.run(verify())


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
    if not is_run_id(run_id):
        raise RunIdInvalidError(f"Expected a run id, a UUID of version 7 in lower case, but found {run_id[:80]!r}.")
    output = options.output()
    target = to or Path(f"{run_id}.runline.json")
    _require_new(target, "--output")
    settings = options.load().settings
    files = [(name, path) for name, path in (("output", to), ("work", work)) if path is not None]
    words = "".join(f" --{name} {shlex.quote(str(path))}" for name, path in files)
    interruptible = Interruptible()
    interruptible.begun = _KEPT

    async def write() -> int:
        async with open_reading(settings) as log:
            directory = work or _directory("export", f"{run_id} {await log_identity(log)}")
            with _shown(output, "exporting", f"runline export {run_id}{words}{options.repeated()}") as progress:
                bundle = await export_run(log, run_id, directory, progress)
        data = orjson.dumps(bundle.json(), option=orjson.OPT_INDENT_2)
        _write(target, data)
        output.document({"bundle": str(target), "bytes": len(data), "root": bundle.root.hex()})
        output.line(f"{target}: {len(bundle.records)} records, root {bundle.root.hex()}")
        return SUCCESS

    return interruptible.run(write())


def _audit_bundle(output: Output, path: Path, known: Roots | None) -> int:
    found = audit_bundle(read_bundle(path), known)
    output.document(bundle_json(found))
    print_bundle(output, found)
    return _VIOLATED if Violations(found.violations, found.violation_counts).count else SUCCESS


@contextmanager
def _shown(output: Output, title: str, resume: str) -> Iterator[Progress]:
    """Show how far something is."""
    with long_work(output, title, resume=resume) as work:

        def total(count: int) -> None:
            work.total = count

        yield Progress(total, work.advance)


def _directory(what: str, name: str) -> Path:
    """Return a directory of this user's for interrupted work of this name, and nobody else's."""
    digest = hashlib.sha256(name.encode()).hexdigest()[:24]
    directory = Path(tempfile.gettempdir()) / f"runline-{what}-{os.getuid()}-{digest}"
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        owner = directory.lstat().st_uid
    except OSError as error:
        raise RunlineError(
            f"{directory} cannot be made: {error.strerror}.", hint="Name another with --work."
        ) from error
    if owner != os.getuid() or directory.is_symlink():
        raise RunlineError(f"expected {directory} to be a directory of this user's.", hint="Name another with --work.")
    return directory


def _require_new(path: Path | None, option: str) -> None:
    if path is not None and path.exists():
        raise ArgumentsError(
            f"Expected a new file for {option}, but {path} is there.",
            hint="Name another: what was written down once is not overwritten.",
        )


def _write(path: Path, data: bytes) -> None:
    """Write a new file, whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_bytes(data + b"\n")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise RunlineError(f"{path} cannot be written: {error.strerror}.") from error
