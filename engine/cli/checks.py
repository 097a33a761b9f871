"""The checks of `doctor`: each looks at one thing and says what it found."""

import asyncio
import importlib.util
import locale
import shutil
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions, version
from pathlib import Path
from typing import Final, NamedTuple

from packaging.requirements import Requirement

from engine.errors import LogLockedError, RunlineError
from engine.limits import DISK_FREE_BYTES_MIN
from engine.log.embedded import EmbeddedLog
from engine.log.embedded.lock import FILE as LOCK_FILE
from engine.log.embedded.lock import DirectoryLock
from engine.log.port import COMMANDS, EVENTS, REJECTIONS, WORKFLOWS, Log

PYTHON_MIN: Final = (3, 11)
DISTRIBUTION: Final = "runline"
PACKAGES: Final = ("engine", "projections", "consumers")
_MEBIBYTE: Final = 1024 * 1024
_READ_AT_ONCE: Final = 500


class Check(NamedTuple):
    """What one check found.

    Attributes:
        name: What was looked at.
        ok: Whether it is as it has to be.
        found: What was found, and what to do when it is not.
    """

    name: str
    ok: bool
    found: str


def check_python() -> Check:
    """Look at the interpreter's version."""
    found = ".".join(map(str, sys.version_info[:3]))
    wanted = ".".join(map(str, PYTHON_MIN))
    return Check("python", sys.version_info >= PYTHON_MIN, f"{found}, at least {wanted} is needed")


def check_directory(directory: Path) -> Check:
    """Look whether the directory, or the one it would be made in, can be written."""
    place = _existing(directory)
    if not place.is_dir():
        return Check("directory", ok=False, found=f"{place} is no directory; name another one with --data")
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"runline")
    except OSError as error:
        return Check("directory", ok=False, found=f"{place} cannot be written: {error.strerror}")
    return Check(
        "directory", ok=True, found=f"{directory} {'is writable' if place == directory.absolute() else 'can be made'}"
    )


def check_lock(directory: Path) -> Check:
    """Look whether another process has the directory open for writing."""
    if not (directory / LOCK_FILE).exists():
        return Check("lock", ok=True, found="nobody has the directory open")
    try:
        DirectoryLock(directory).release()
    except LogLockedError as error:
        return Check("lock", ok=False, found=str(error))
    except RunlineError as error:
        return Check("lock", ok=False, found=f"cannot be looked at: {error}")
    return Check("lock", ok=True, found="nobody has the directory open")


def check_disk(directory: Path) -> Check:
    """Look at the free space."""
    place = _existing(directory)
    free = shutil.disk_usage(place).free
    wanted = f"at least {DISK_FREE_BYTES_MIN // _MEBIBYTE:,} MiB are needed"
    return Check("disk", free >= DISK_FREE_BYTES_MIN, f"{free // _MEBIBYTE:,} MiB free at {place}, {wanted}")


def check_log(directory: Path) -> Check:
    """Read every record of the log, beside whoever writes it."""
    if not directory.is_dir() or not any(directory.iterdir()):
        return Check("log", ok=True, found="there is none yet")
    try:
        return Check("log", ok=True, found=asyncio.run(_read_everything(directory)))
    except RunlineError as error:
        return Check("log", ok=False, found=str(error))


async def _read_everything(directory: Path) -> str:
    log = await EmbeddedLog.open_reading(directory)
    try:
        counts = [await _count(log, topic) for topic in (WORKFLOWS, COMMANDS, EVENTS, REJECTIONS)]
    finally:
        await log.close()
    return f"{sum(counts):,} records, all readable"


async def _count(log: Log, topic: str) -> int:
    count = 0
    for partition in range(log.partitions if topic in {COMMANDS, EVENTS} else 1):
        ends = await log.ends(topic, partition)
        position = ends.start
        while position < ends.end:
            records = await log.read(topic, partition, position, min(_READ_AT_ONCE, ends.end - position))
            position = records[-1].offset + 1
        count += ends.end - ends.start
    return count


def check_names(directory: Path) -> Check:
    """Look whether our packages are what their import names lead to, in this directory too.

    Args:
        directory: Where programs are started, which Python may search first.
    """
    home = Path(__file__).resolve().parents[2]
    providers = packages_distributions()
    problems = []
    for name in PACKAGES:
        problems += [
            f"{path} stands in the way of the package {name}: rename it"
            for path in (directory / f"{name}.py", directory / name)
            if path.exists() and path.resolve().parent != home
        ]
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None or Path(spec.origin).resolve().parents[1] != home:
            problems.append(f"the name {name} leads to {None if spec is None else spec.origin}, not into {home}")
        problems += [
            f"the distribution {other} provides {name} too: uninstall it"
            for other in sorted(set(providers.get(name, ())) - {DISTRIBUTION})
        ]
    return Check("names", not problems, "; ".join(problems) or f"{', '.join(PACKAGES)} lead into {home}")


def check_dependencies() -> Check:
    """Look whether what runline needs is installed, in versions that it takes."""
    try:
        requirements = [Requirement(text) for text in distribution(DISTRIBUTION).requires or ()]
    except PackageNotFoundError:
        return Check(
            "dependencies", ok=False, found="runline is not installed as a distribution, its needs are unknown"
        )
    needed = [need for need in requirements if need.marker is None or need.marker.evaluate({"extra": ""})]
    return _dependencies(needed)


def _dependencies(needed: Sequence[Requirement]) -> Check:
    found: list[str] = []
    problems: list[str] = []
    for need in needed:
        try:
            installed = version(need.name)
        except PackageNotFoundError:
            problems.append(f"{need} is not installed")
            continue
        found.append(f"{need.name} {installed}")
        if not need.specifier.contains(installed, prereleases=True):
            problems.append(f"expected {need}, found {installed}")
    return Check("dependencies", not problems, "; ".join(problems) or ", ".join(found))


def check_terminal() -> Check:
    """Look whether stdout and the locale are UTF-8."""
    encodings = {
        "stdout": getattr(sys.stdout, "encoding", None) or "unknown",
        "locale": locale.getpreferredencoding(do_setlocale=False),
        "file names": sys.getfilesystemencoding(),
    }
    ok = all(encoding.lower().replace("-", "").replace("_", "") == "utf8" for encoding in encodings.values())
    found = ", ".join(f"{name} {encoding}" for name, encoding in encodings.items())
    return Check("terminal", ok, found if ok else f"{found}; set LANG=C.UTF-8 or PYTHONUTF8=1")


def _existing(path: Path) -> Path:
    """Return the path or the nearest one above it that exists."""
    path = path.absolute()
    return next(place for place in (path, *path.parents) if place.exists())
