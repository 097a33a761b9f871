"""Distributions made for a test: what an installer leaves behind, whole or broken."""

from collections.abc import Sequence
from pathlib import Path

from engine.call import Call
from examples.dependency_audit import Environment, Finding, Installed, read_environment, registry


def install(
    directory: Path,
    name: str,
    version: str = "1.0",
    *,
    fields: Sequence[str] = (),
    files: Sequence[str] | None = (),
    others: Sequence[tuple[str, str]] = (),
) -> Path:
    """Install a distribution and return its metadata directory.

    Args:
        directory: Where.
        name: As it is written; not normalised.
        version: As it is written.
        fields: More lines of its METADATA.
        files: What its RECORD lists; made empty where they are not there. None leaves the RECORD out.
        others: More files of its metadata directory and their texts.
    """
    place = directory / f"{name}-{version}.dist-info"
    place.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *fields, ""]
    (place / "METADATA").write_text("\n".join(lines), "utf-8")
    for file in files or ():
        path = directory / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    if files is not None:
        (place / "RECORD").write_text("".join(f"{file},,\n" for file in (*files, f"{place.name}/METADATA")), "utf-8")
    for other, text in others:
        (place / other).write_text(text, "utf-8")
    return place


def new_call(attempt: int = 1) -> Call:
    """Return a call as a node gets it."""
    return Call(
        run_id="r", workflow_id="w", node_id="n", trace_id="r.1", attempt=attempt, idempotency_key="r.1",
        registry=registry,
    )  # fmt: skip


def environment(*directories: Path) -> Environment:
    """Read what is installed in these directories."""
    return read_environment(map(str, directories), new_call())


def only(*directories: Path) -> Installed:
    """Return the one distribution that is installed there."""
    (installed,) = environment(*directories).installed.values()
    return installed


def texts(findings: Sequence[Finding], name: str) -> list[str]:
    """Return one text of each finding."""
    return [finding[name] for finding in findings]
