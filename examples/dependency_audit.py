"""Dependency audit: what is wrong among the distributions installed in an environment.

The functions of `dependency_audit.yaml`. Each reads the metadata again instead of passing it on, because a context is
small; only findings flow, and the inventory fixes at the beginning which directories are looked at, so that a run that
goes on in another process looks at the same ones.

Inputs of a run:
    input.path: Directories to look in; the `sys.path` of the running interpreter unless given.
    input.report: The file to write; `report/dependency-audit.md` unless given.
    input.pace: Seconds that every function waits before it works, 0 unless given: time to watch, or to kill it.
"""

import csv
import importlib.machinery
import json
import os
import platform
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import Distribution, PathDistribution, distributions
from pathlib import Path
from typing import Final, NamedTuple

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.metadata import RawMetadata, parse_email
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version

from engine import Call, ContextList, ContextObject, Registry, RunlineError

REPORT: Final = "report/dependency-audit.md"
PACE_SECONDS_MAX: Final = 600.0
PACE_STEP_SECONDS: Final = 0.05
"""How soon a function that waits hears of a cancellation."""
TEXT_CHARACTERS_MAX: Final = 300
"""Characters of one text of a finding; metadata is foreign and may hold anything."""
FINDINGS_BYTES_MAX: Final = 24 * 1024
"""Bytes of the findings of one kind that flow on: all kinds together fit into a context. The counts stay exact."""
LICENCES_MAX: Final = 50
"""Licences listed by name in the report."""

KINDS: Final = {
    "broken": "Broken metadata",
    "duplicates": "Installed twice in one place",
    "unmet": "Unmet requirements",
    "conflicting": "Conflicting requirements",
    "unparsable": "Unparsable requirements",
    "licences": "Missing licences",
    "modules": "Modules of several distributions",
}
"""The kinds of findings, in the order of the report."""

Finding = dict[str, str]
"""Names to texts, in the order in which the report shows them."""

registry = Registry()


class AuditError(RunlineError):
    """The audit cannot be done as asked."""

    code = "audit"


class Installed(NamedTuple):
    """A distribution that imports find.

    Attributes:
        name: Normalised.
        version: None when the metadata has none that can be compared.
        location: The directory it is installed in.
        place: Its metadata directory.
        metadata: Its fields.
        distribution: The way to its files.
    """

    name: str
    version: Version | None
    location: str
    place: str
    metadata: RawMetadata
    distribution: Distribution

    def __str__(self) -> str:
        """Return name and version."""
        return f"{self.name} {self.version or '(unknown version)'}"


class Environment(NamedTuple):
    """What is installed.

    Attributes:
        installed: By normalised name, in its order; of several of the same name the one that imports find.
        broken: Metadata that cannot be read.
        duplicates: Distributions installed twice in the same directory.
    """

    installed: dict[str, Installed]
    broken: list[Finding]
    duplicates: list[Finding]


def read_environment(path: Iterable[str], call: Call) -> Environment:
    """Read the metadata of everything installed in these directories, earlier ones first.

    Raises:
        CallCancelledError: The run was cancelled.
    """
    installed: dict[str, Installed] = {}
    broken: list[Finding] = []
    duplicates: list[Finding] = []
    for location in path:
        here: dict[str, list[Installed]] = {}
        for distribution in distributions(path=[location]):
            call.raise_if_cancelled()
            each = _read(distribution, location, broken)
            if each is not None:
                here.setdefault(each.name, []).append(each)
        for name, several in sorted(here.items()):
            # Which of several imports find is left to the file system's order; the newest is the likeliest.
            several.sort(key=lambda each: (each.version or Version("0.dev0"), each.place))
            if len(several) > 1:
                duplicates.append({"name": name, "places": ", ".join(each.place for each in several)})
            # One of the same name in a later directory is only hidden, as in an environment on top of another.
            installed.setdefault(name, several[-1])
    broken.sort(key=lambda finding: finding["place"])
    return Environment(dict(sorted(installed.items())), broken, duplicates)


def _read(distribution: Distribution, location: str, broken: list[Finding]) -> Installed | None:
    assert isinstance(distribution, PathDistribution)
    place = str(distribution._path)  # noqa: SLF001 - nothing public names the metadata directory
    try:
        text = next(filter(None, map(distribution.read_text, ("METADATA", "PKG-INFO", ""))), None)
    except (OSError, UnicodeError) as error:
        broken.append({"place": place, "problem": f"the metadata cannot be read: {error}"})
        return None
    if text is None:
        broken.append({"place": place, "problem": "there is no metadata, or it cannot be read"})
        return None
    metadata, _ = parse_email(text)
    try:
        name = canonicalize_name(metadata.get("name", ""), validate=True)
    except InvalidName:
        found = repr(metadata["name"]) if "name" in metadata else "none or several"
        broken.append({"place": place, "problem": f"expected a name, found {found}"})
        return None
    version: Version | None = None
    try:
        version = Version(metadata.get("version", ""))
    except InvalidVersion:
        found = repr(metadata["version"]) if "version" in metadata else "none or several"
        broken.append({"place": place, "problem": f"expected a version, found {found}"})
    return Installed(name, version, location, place, metadata, distribution)


# The nodes.


@registry.node("inventory")
def inventory(context: ContextObject, call: Call) -> None:
    """Fix where to look and where to write, and count what is installed there."""
    pace(context, call)
    # Absolute from here on: the run may go on in a process with another working directory.
    context.set("report.path", str(Path(context.try_get("input.report", str) or REPORT).absolute()))
    path = _asked_path(context)
    context.set("inventory.path", path)
    environment = read_environment(path, call)
    context.set("inventory.python", platform.python_version())
    context.set("inventory.distributions", len(environment.installed))
    add_findings(context, "broken", environment.broken)
    add_findings(context, "duplicates", environment.duplicates)
    call.logger.info("Found %d distributions in %d places", len(environment.installed), len(path))


def _asked_path(context: ContextObject) -> list[str]:
    asked = context.try_get("input.path", ContextList)
    entries = sys.path if asked is None else [str(entry) for entry in asked]
    path: dict[str, str] = {}
    for entry in entries:
        if os.path.exists(entry or "."):  # noqa: PTH110 - an empty entry is the working directory, as in sys.path
            # The same directory by another name is looked at once: lib64 is often a link to lib.
            path.setdefault(os.path.realpath(entry), os.path.abspath(entry))  # noqa: PTH100 - links stay in what is shown
        elif asked is not None:
            raise AuditError(f"Expected files or directories in 'input.path', found nothing at {entry!r}.")
    return list(path.values())


@registry.node("requirements")
async def requirements(context: ContextObject, call: Call) -> None:
    """Find requirements that nothing installed meets. Those of extras are left out: nothing says which are wanted."""
    await call.in_thread(pace, context, call)
    environment = await call.in_thread(read_environment, _path(context), call)
    found: dict[str, list[Finding]] = {"unmet": [], "conflicting": [], "unparsable": []}
    for owner in environment.installed.values():
        call.raise_if_cancelled()
        for kind, finding in judge_requirements(owner, environment.installed):
            found[kind].append(finding)
    for kind, findings in found.items():
        add_findings(context, kind, findings)


def judge_requirements(owner: Installed, installed: Mapping[str, Installed]) -> Iterable[tuple[str, Finding]]:
    """Yield the kind and finding of each requirement of a distribution that is not met, or says nothing readable."""
    python = owner.metadata.get("requires_python")
    if python is not None:
        try:
            if not SpecifierSet(python).contains(platform.python_version(), prereleases=True):
                found = f"python {platform.python_version()}"
                yield "conflicting", {"by": str(owner), "requires": f"python {python}", "found": found}
        except InvalidSpecifier as error:
            yield "unparsable", {"by": str(owner), "requires": f"python {python}", "problem": str(error)}
    try:
        texts = sorted(set(owner.distribution.requires or ()))
    except (OSError, UnicodeError) as error:
        texts = []
        yield "unparsable", {"by": str(owner), "problem": f"the requirements cannot be read: {error}"}
    for text in texts:
        try:
            requirement = Requirement(text)
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
                continue
        except (InvalidRequirement, UndefinedComparison, UndefinedEnvironmentName, InvalidVersion) as error:
            yield "unparsable", {"by": str(owner), "requires": text, "problem": str(error)}
            continue
        other = installed.get(canonicalize_name(requirement.name))
        if other is None:
            yield "unmet", {"by": str(owner), "requires": text}
        # A version that cannot be compared is a finding of its own. A pre-release that somebody installed is meant.
        elif other.version is not None and not requirement.specifier.contains(other.version, prereleases=True):
            yield "conflicting", {"by": str(owner), "requires": text, "found": str(other)}


@registry.node("licences")
def licences(context: ContextObject, call: Call) -> None:
    """Count the licences, and find distributions whose metadata names none."""
    pace(context, call)
    tally: Counter[str] = Counter()
    missing: list[Finding] = []
    for each in read_environment(_path(context), call).installed.values():
        licence = licence_of(each.metadata)
        if licence is not None:
            tally[_clean(licence)] += 1
        else:
            files = ", ".join(each.metadata.get("license_files", ()))
            missing.append({"name": str(each), "files": files or "none"})
    most = sorted(tally.items(), key=lambda item: (-item[1], item[0]))[:LICENCES_MAX]
    context.set("licences", [{"licence": licence, "distributions": count} for licence, count in most])
    add_findings(context, "licences", missing)


_NO_LICENCES: Final = ("License", "OSI Approved")
"""Where a classifier may end without naming a licence."""


def licence_of(metadata: RawMetadata) -> str | None:
    """Return the licence that the metadata names: the expression, the field if it is short, the classifiers."""
    expression = metadata.get("license_expression", "").strip()
    # Some put the whole text of the licence into the field.
    lines = metadata.get("license", "").strip().splitlines() or [""]
    field = "" if lines[0].strip().upper() in {"UNKNOWN", "NONE"} else lines[0].strip()
    classifiers = [entry.split(" :: ") for entry in metadata.get("classifiers", ())]
    named = [parts[-1].strip() for parts in classifiers if parts[0] == "License" and parts[-1] not in _NO_LICENCES]
    return expression or (field if len(lines) == 1 else "") or ", ".join(named) or field or None


@registry.node("modules")
async def modules(context: ContextObject, call: Call) -> None:
    """Find top-level modules that several distributions bring along, so that one overwrites or hides the other."""
    await call.in_thread(pace, context, call)
    environment = await call.in_thread(read_environment, _path(context), call)
    owners: dict[str, list[Installed]] = {}
    broken: list[Finding] = []
    for each in environment.installed.values():
        call.raise_if_cancelled()
        for name in await call.in_thread(provided_modules, each, broken):
            owners.setdefault(name, []).append(each)
    findings: list[Finding] = []
    for name, several in sorted(owners.items()):
        rivals = [each for each in several if not shares_namespace(each, name)] if len(several) > 1 else []
        if len(rivals) > 1:
            findings.append({"module": name, "distributions": ", ".join(map(str, rivals))})
    add_findings(context, "broken", broken)
    add_findings(context, "modules", findings)


SUFFIXES: Final = (*importlib.machinery.all_suffixes(), ".pyd")


def provided_modules(installed: Installed, broken: list[Finding]) -> set[str]:
    """Return the top-level modules and packages that a distribution brings along.

    A directory without `__init__` is a namespace, which belongs to nobody. Without a list of files the names in
    `top_level.txt` count that are found on disk; an editable install is looked up in the directory it points to.
    """
    provided: set[str] = set()
    roots = [Path(installed.location)]
    try:
        files = installed.distribution.files if installed.place.endswith(".dist-info") else None
    except (csv.Error, OSError, TypeError, ValueError) as error:
        files = None
        broken.append({"place": installed.place, "problem": f"RECORD cannot be read: {error}"})
    if files is not None:
        links = [file.name for file in files if len(file.parts) == 1 and file.suffix == ".pth"]
        roots = [root for link in links for root in _linked(Path(installed.location, link))]
        for file in files:
            stem = _module_name(file.parts[-1]) if file.parts else ""
            if len(file.parts) == 1 and stem.isidentifier():
                provided.add(stem)
            elif len(file.parts) == 2 and stem == "__init__" and file.parts[0].isidentifier():  # noqa: PLR2004 - directory and file
                provided.add(file.parts[0])
    try:
        names = (installed.distribution.read_text("top_level.txt") or "").split()
    except (OSError, UnicodeError) as error:
        names = []
        broken.append({"place": installed.place, "problem": f"top_level.txt cannot be read: {error}"})
    provided.update(name for name in names if name.isidentifier() and any(_is_module(root, name) for root in roots))
    return provided


def _module_name(file: str) -> str:
    return file.split(".", 1)[0] if file.endswith(SUFFIXES) else ""


def _is_module(root: Path, name: str) -> bool:
    places = (root / name / "__init__", root / name)
    return any(place.with_name(place.name + suffix).is_file() for place in places for suffix in SUFFIXES)


def _linked(link: Path) -> list[Path]:
    try:
        lines = link.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    return [Path(line) for line in lines if line and not line.startswith(("import ", "import\t", "#"))]


def shares_namespace(installed: Installed, name: str) -> bool:
    """Return whether a distribution says that others may put modules into its package too, as old namespaces do."""
    try:
        if name in (installed.distribution.read_text("namespace_packages.txt") or "").split():
            return True
        text = Path(installed.location, name, "__init__.py").read_text("utf-8", "replace")
    except (OSError, UnicodeError):
        return False
    return "extend_path" in text or "declare_namespace" in text


@registry.node("summarise_clean")
async def summarise_clean(context: ContextObject, call: Call) -> Mapping[str, object]:
    """Say that nothing is wrong."""
    await call.in_thread(pace, context, call)
    count = context.get("inventory.distributions", int)
    return {"summary.severity": "clean", "summary.headline": f"No problems in {count} distribution(s)."}


@registry.node("summarise_problems")
async def summarise_problems(context: ContextObject, call: Call) -> Mapping[str, object]:
    """Say in one line what is wrong."""
    await call.in_thread(pace, context, call)
    counts = {kind: context.get(f"counts.{kind}", int) for kind in KINDS}
    parts = ", ".join(f"{KINDS[kind].lower()}: {count}" for kind, count in counts.items() if count)
    installed = context.get("inventory.distributions", int)
    return {"summary.headline": f"{sum(counts.values())} problem(s) in {installed} distribution(s): {parts}."}


@registry.node("report")
def report(context: ContextObject, call: Call) -> None:
    """Write the report: all of it or nothing, and the same again when the node is executed again."""
    pace(context, call)
    path = Path(context.get("report.path", str))
    path.parent.mkdir(parents=True, exist_ok=True)
    # Named after the trace, so that a repetition takes over what a killed attempt left behind.
    temporary = path.with_name(f".{call.idempotency_key}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.write(rendered(context))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    call.logger.info("Wrote %s", path)


# What several nodes need.


def pace(context: ContextObject, call: Call) -> None:
    """Wait as long as `input.pace` says; blocks.

    Raises:
        AuditError: It is no number of seconds from 0 to PACE_SECONDS_MAX.
        CallCancelledError: The run was cancelled.
    """
    seconds = context.try_get("input.pace", object, 0)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= PACE_SECONDS_MAX:
        raise AuditError(f"Expected 0 to {PACE_SECONDS_MAX:g} seconds at 'input.pace', found {seconds!r}.")
    until = time.monotonic() + seconds
    while (rest := until - time.monotonic()) > 0:
        call.raise_if_cancelled()
        time.sleep(min(rest, PACE_STEP_SECONDS))
    call.raise_if_cancelled()


def _path(context: ContextObject) -> list[str]:
    return [str(entry) for entry in context.get("inventory.path", ContextList)]


def add_findings(context: ContextObject, kind: str, findings: Sequence[Finding]) -> None:
    """Count the findings, and keep as many of them as fit."""
    context.set(f"counts.{kind}", context.try_get(f"counts.{kind}", int, 0) + len(findings))
    kept = context.try_get(f"findings.{kind}", ContextList)
    fitting: list[object] = [] if kept is None else list(kept)
    room = FINDINGS_BYTES_MAX - sum(len(json.dumps(entry, default=dict)) for entry in fitting)
    for finding in findings:
        entry = {name: _clean(text) for name, text in finding.items()}
        room -= len(json.dumps(entry))
        if room < 0:
            break
        fitting.append(entry)
    context.set(f"findings.{kind}", fitting)


def _clean(text: str) -> str:
    """Return foreign text as one line that a context can hold and a terminal can show."""
    line = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in " ".join(text.split()))
    return line if len(line) <= TEXT_CHARACTERS_MAX else f"{line[:TEXT_CHARACTERS_MAX]}..."


def rendered(context: ContextObject) -> str:
    """Return the report as Markdown. It holds no time and no run id: the same environment gives the same report."""
    lines = ["# Dependency audit", "", _escaped(context.get("summary.headline", str)), ""]
    lines += ["| finding | count |", "| --- | ---: |"]
    lines += [f"| {title} | {context.get(f'counts.{kind}', int)} |" for kind, title in KINDS.items()]
    for kind, title in KINDS.items():
        lines += _section(title, context.get(f"findings.{kind}", ContextList), context.get(f"counts.{kind}", int))
    lines += ["", "## Licences", "", "| licence | distributions |", "| --- | ---: |"]
    for entry in context.get("licences", ContextList):
        assert isinstance(entry, ContextObject)
        lines.append(f"| {_escaped(entry.get('licence', str))} | {entry.get('distributions', int)} |")
    lines += ["", "## Where it looked", "", f"Python {context.get('inventory.python', str)}, in:", ""]
    lines += [f"- {_escaped(entry)}" for entry in _path(context)] or ["- nowhere"]
    return "\n".join([*lines, ""])


def _section(title: str, findings: ContextList, count: int) -> list[str]:
    lines = ["", f"## {title}", ""] if count else []
    for finding in findings:
        assert isinstance(finding, ContextObject)
        lines.append("- " + "; ".join(f"{name}: {_escaped(str(text))}" for name, text in finding.items()))
    if len(findings) < count:
        lines.append(f"- and {count - len(findings)} more: look at fewer directories at once to see them")
    return lines


def _escaped(text: str) -> str:
    return "".join(f"\\{each}" if each in "\\`*_[]<>|#" else each for each in _clean(text))
