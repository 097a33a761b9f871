from pathlib import Path

import pytest

from engine import ContextList, ContextObject
from engine.call import CallCancelledError
from engine.context.check import check_wire
from examples.dependency_audit import (
    KINDS,
    AuditError,
    add_findings,
    inventory,
    judge_requirements,
    licence_of,
    licences,
    modules,
    pace,
    provided_modules,
    rendered,
    report,
    requirements,
    summarise_clean,
    summarise_problems,
)
from tests.examples.distributions import environment, install, new_call, only, texts


def looked_at(*directories: Path) -> ContextObject:
    context = ContextObject({"input": {"path": [str(directory) for directory in directories]}})
    inventory(context, new_call())
    return context


def findings(context: ContextObject, kind: str) -> list[dict[str, object]]:
    found = [dict(each) for each in context.get(f"findings.{kind}", ContextList) if isinstance(each, ContextObject)]
    assert context.get(f"counts.{kind}", int) == len(found)
    return found


def judged(directory: Path, owner: str) -> list[tuple[str, str]]:
    installed = environment(directory).installed
    return [(kind, finding["requires"]) for kind, finding in judge_requirements(installed[owner], installed)]


# The inventory.


def test_the_inventory_normalises_names_and_counts_distributions(tmp_path: Path) -> None:
    install(tmp_path, "Flask_SQL.Alchemy")
    install(tmp_path, "other")
    context = looked_at(tmp_path)
    assert list(environment(tmp_path).installed) == ["flask-sql-alchemy", "other"]
    assert context.get("inventory.distributions", int) == 2
    assert findings(context, "broken") == []


def test_an_empty_directory_has_no_distributions(tmp_path: Path) -> None:
    context = looked_at(tmp_path)
    assert context.get("inventory.distributions", int) == 0
    assert context.get("counts", ContextObject) == {"broken": 0, "duplicates": 0}


def test_without_a_path_the_interpreters_own_distributions_are_listed() -> None:
    context = ContextObject()
    inventory(context, new_call())
    path = [str(each) for each in context.get("inventory.path", ContextList)]
    assert {"pytest", "packaging"} <= environment(*map(Path, path)).installed.keys()
    assert all(Path(each).is_absolute() for each in path)


def test_an_asked_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match=r"found nothing at .*/missing"):
        looked_at(tmp_path / "missing")


def test_a_directory_is_looked_at_once_under_all_its_names(tmp_path: Path) -> None:
    install(tmp_path / "lib", "one")
    (tmp_path / "lib64").symlink_to("lib")
    context = looked_at(tmp_path / "lib", tmp_path / "lib64", tmp_path / "lib")
    assert list(context.get("inventory.path", ContextList)) == [str(tmp_path / "lib")]


def test_relative_places_become_absolute_before_anything_else_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "packages", "one")
    monkeypatch.chdir(tmp_path)
    context = ContextObject({"input": {"path": ["packages"], "report": "out/audit.md"}})
    inventory(context, new_call())
    assert list(context.get("inventory.path", ContextList)) == [str(tmp_path / "packages")]
    assert context.get("report.path", str) == str(tmp_path / "out" / "audit.md")
    # As if the run went on in a process that was started elsewhere.
    monkeypatch.chdir("/")
    licences(context, new_call())
    assert context.get("counts.licences", int) == 1


@pytest.mark.parametrize(
    ("metadata", "problem"),
    [
        (b"Metadata-Version: 2.1\nVersion: 1.0\n", "expected a name, found none"),
        (b"Metadata-Version: 2.1\nName: a\nName: b\nVersion: 1.0\n", "expected a name, found none or several"),
        (b"Metadata-Version: 2.1\nName: two words\nVersion: 1.0\n", "expected a name, found 'two words'"),
        (b"Name: \xff\xfe\nVersion: 1.0\n", "cannot be read"),
        (b"", "no metadata"),
        (None, "no metadata"),
    ],
)
def test_a_distribution_without_a_readable_name_is_broken_and_stops_nothing(
    tmp_path: Path, metadata: bytes | None, problem: str
) -> None:
    install(tmp_path, "whole")
    place = install(tmp_path, "damaged")
    (place / "METADATA").unlink()
    if metadata is not None:
        (place / "METADATA").write_bytes(metadata)
    context = looked_at(tmp_path)
    (finding,) = findings(context, "broken")
    assert problem in str(finding["problem"])
    assert finding["place"] == str(place)
    assert context.get("inventory.distributions", int) == 1


@pytest.mark.parametrize("version", ["not-a-version", ""])
def test_a_distribution_without_a_comparable_version_counts_as_installed(tmp_path: Path, version: str) -> None:
    install(tmp_path, "odd", version)
    install(tmp_path, "user", fields=["Requires-Dist: odd>=2"])
    (finding,) = findings(looked_at(tmp_path), "broken")
    assert "expected a version" in str(finding["problem"])
    assert judged(tmp_path, "user") == []


def test_two_metadata_directories_in_one_place_are_a_duplicate_and_the_newest_counts(tmp_path: Path) -> None:
    for version in ("1.9", "1.10", "1.2"):
        install(tmp_path, "twice", version)
    (finding,) = findings(looked_at(tmp_path), "duplicates")
    assert finding["name"] == "twice"
    assert str(finding["places"]).count("twice-1.") == 3
    assert str(only(tmp_path)) == "twice 1.10"


def test_a_distribution_in_a_later_directory_is_hidden_by_one_in_an_earlier(tmp_path: Path) -> None:
    install(tmp_path / "first", "same", "1.0")
    install(tmp_path / "second", "same", "2.0")
    assert findings(looked_at(tmp_path / "first", tmp_path / "second"), "duplicates") == []
    assert str(only(tmp_path / "first", tmp_path / "second")) == "same 1.0"


def test_an_egg_info_file_and_directory_are_read_too(tmp_path: Path) -> None:
    (tmp_path / "flat.egg-info").write_text("Metadata-Version: 1.0\nName: flat\nVersion: 1.0\n", "utf-8")
    place = tmp_path / "deep.egg-info"
    place.mkdir()
    (place / "PKG-INFO").write_text("Metadata-Version: 1.0\nName: deep\nVersion: 2.0\n", "utf-8")
    (place / "requires.txt").write_text("missing>=1\n\n[extra]\nunwanted\n", "utf-8")
    assert [str(each) for each in environment(tmp_path).installed.values()] == ["deep 2.0", "flat 1.0"]
    assert judged(tmp_path, "deep") == [("unmet", "missing>=1")]
    (place / "requires.txt").write_bytes(b"\xff\xfe")
    installed = environment(tmp_path).installed
    ((kind, finding),) = judge_requirements(installed["deep"], installed)
    assert kind == "unparsable"
    assert "cannot be read" in finding["problem"]


# Requirements.


def test_requirements_are_judged_by_marker_presence_and_version(tmp_path: Path) -> None:
    install(tmp_path, "There", "2.0")
    install(tmp_path, "early", "3.0b1")
    install(
        tmp_path,
        "user",
        fields=[
            "Requires-Dist: there (>=1,<3)",
            "Requires-Dist: THERE!=2.0",
            "Requires-Dist: early>=2",
            "Requires-Dist: early>=3.0",
            "Requires-Dist: absent[extra]>=1",
            'Requires-Dist: on-old-pythons; python_version < "3"',
            'Requires-Dist: for-tests; extra == "test"',
            "Requires-Dist: there @ https://example.org/there.whl",
            "Requires-Dist: ===!",
            'Requires-Dist: there; nonsense == "1"',
        ],
    )
    assert judged(tmp_path, "user") == [
        ("unparsable", "===!"),
        ("conflicting", "THERE!=2.0"),
        ("unmet", "absent[extra]>=1"),
        ("conflicting", "early>=3.0"),
        ("unparsable", 'there; nonsense == "1"'),
    ]


@pytest.mark.parametrize(("python", "kind"), [(">=3.11", []), ("<3", ["conflicting"]), ("three", ["unparsable"])])
def test_the_required_python_is_a_requirement_too(tmp_path: Path, python: str, kind: list[str]) -> None:
    install(tmp_path, "user", fields=[f"Requires-Python: {python}"])
    assert [kind for kind, _ in judged(tmp_path, "user")] == kind


async def test_the_requirements_node_counts_each_kind(tmp_path: Path) -> None:
    install(tmp_path, "user", "1.5", fields=["Requires-Dist: absent", "Requires-Dist: user<1"])
    context = looked_at(tmp_path)
    await requirements(context, new_call())
    assert findings(context, "unmet") == [{"by": "user 1.5", "requires": "absent"}]
    assert findings(context, "conflicting") == [{"by": "user 1.5", "requires": "user<1", "found": "user 1.5"}]
    assert findings(context, "unparsable") == []


# Licences.


@pytest.mark.parametrize(
    ("fields", "licence"),
    [
        (["License-Expression: MIT OR Apache-2.0", "License: other"], "MIT OR Apache-2.0"),
        (["License: BSD", "Classifier: License :: OSI Approved :: BSD License"], "BSD"),
        (["License: The text", "        of a licence", "Classifier: License :: OSI Approved :: ISC"], "ISC"),
        (["License: The text", "        of a licence"], "The text"),
        (["License: UNKNOWN", "Classifier: License :: Public Domain"], "Public Domain"),
        (["Classifier: License :: OSI Approved", "Classifier: Topic :: Software"], None),
        (["License: UNKNOWN"], None),
        (["License:"], None),
        ([], None),
    ],
)
def test_the_licence_is_the_most_exact_thing_the_metadata_says(
    tmp_path: Path, fields: list[str], licence: str | None
) -> None:
    install(tmp_path, "one", fields=fields)
    assert licence_of(only(tmp_path).metadata) == licence


def test_missing_licences_are_listed_with_the_files_that_may_hold_one(tmp_path: Path) -> None:
    install(tmp_path, "bare")
    install(tmp_path, "filed", fields=["License-File: COPYING", "License-File: NOTICE"])
    install(tmp_path, "good", fields=["License-Expression: MIT"])
    install(tmp_path, "too", fields=["License-Expression: MIT"])
    context = looked_at(tmp_path)
    licences(context, new_call())
    assert findings(context, "licences") == [
        {"name": "bare 1.0", "files": "none"},
        {"name": "filed 1.0", "files": "COPYING, NOTICE"},
    ]
    assert context.get("licences", ContextList) == [{"licence": "MIT", "distributions": 2}]


# Modules.


async def clashes(*directories: Path) -> dict[str, str]:
    context = looked_at(*directories)
    await modules(context, new_call())
    assert findings(context, "broken") == []
    return {str(each["module"]): str(each["distributions"]) for each in findings(context, "modules")}


async def test_packages_and_modules_of_several_distributions_are_found(tmp_path: Path) -> None:
    install(tmp_path, "a", files=["tests/__init__.py", "util.py", "own_a/__init__.py", "bin/x", "../../bin/a"])
    install(tmp_path, "b", files=["tests/__init__.py", "util/__init__.py", "own_b/sub/__init__.py", "bin/x"])
    install(tmp_path / "later", "c", files=["util.abi3.so", "__pycache__/util.cpython-311.pyc"])
    assert await clashes(tmp_path, tmp_path / "later") == {"tests": "a 1.0, b 1.0", "util": "a 1.0, b 1.0, c 1.0"}


async def test_namespace_packages_of_all_three_fashions_are_no_clash(tmp_path: Path) -> None:
    for name in ("a", "b"):
        files = [f"plain/{name}/__init__.py", f"plain/{name}.py", "listed/__init__.py", "extended/__init__.py"]
        install(tmp_path, name, files=files, others=[("namespace_packages.txt", "listed\n")])
    extend = "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n"
    (tmp_path / "extended" / "__init__.py").write_text(extend, "utf-8")
    assert await clashes(tmp_path) == {}


async def test_a_package_of_which_one_owner_says_that_it_is_shared_is_no_clash(tmp_path: Path) -> None:
    install(tmp_path / "first", "a", files=["both/__init__.py"], others=[("namespace_packages.txt", "both\n")])
    install(tmp_path / "second", "b", files=["both/__init__.py"])
    assert await clashes(tmp_path / "first", tmp_path / "second") == {}


async def test_a_distribution_that_adds_to_the_package_of_another_is_no_clash(tmp_path: Path) -> None:
    install(tmp_path, "host", files=["host/__init__.py"])
    install(tmp_path, "host-plugin", files=["host/plugin.py"], others=[("top_level.txt", "host\n")])
    assert await clashes(tmp_path) == {}


async def test_without_a_list_of_files_the_top_level_names_found_on_disk_count(tmp_path: Path) -> None:
    install(tmp_path, "a", files=["shared/__init__.py", "space/a.py"])
    install(tmp_path, "b", files=None, others=[("top_level.txt", "shared\nspace\nnowhere\n")])
    assert provided_modules(environment(tmp_path).installed["b"], []) == {"shared"}
    assert await clashes(tmp_path) == {"shared": "a 1.0, b 1.0"}


def test_an_editable_install_is_looked_up_where_its_link_points(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "edited").mkdir(parents=True)
    (source / "edited" / "__init__.py").touch()
    packages = tmp_path / "packages"
    names = [("top_level.txt", "edited\nelsewhere\n")]
    install(packages, "edited", files=["__editable__.edited.pth"], others=names)
    (packages / "__editable__.edited.pth").write_text(f"import sys\n{source}\n", "utf-8")
    assert provided_modules(only(packages), []) == {"edited"}


@pytest.mark.parametrize("record", [b"\xff\xfe,,\n", b"a.py,,not-a-size\n", b"a,b,c,d,e\n"])
async def test_a_broken_list_of_files_is_a_finding_and_stops_nothing(tmp_path: Path, record: bytes) -> None:
    place = install(tmp_path, "torn", others=[("top_level.txt", "torn")])
    (place / "RECORD").write_bytes(record)
    (tmp_path / "torn.py").touch()
    install(tmp_path, "rival", files=["torn.py"])
    context = looked_at(tmp_path)
    await modules(context, new_call())
    assert context.get("counts.modules", int) == 1
    assert [each["place"] for each in findings(context, "broken")] == [str(place)]


# What flows on, and the report.


async def complete(*directories: Path) -> ContextObject:
    context = looked_at(*directories)
    await requirements(context, new_call())
    licences(context, new_call())
    await modules(context, new_call())
    return context


async def test_five_hundred_distributions_fit_into_a_context_with_all_their_problems(tmp_path: Path) -> None:
    for number in range(500):
        fields = [f"Requires-Dist: absent-{number}-{each}" for each in range(5)]
        install(tmp_path, f"package-{number}", fields=fields, files=["tests/__init__.py", f"m{number // 2}.py"])
    context = await complete(tmp_path)
    assert context.get("inventory.distributions", int) == 500
    assert context.get("counts.unmet", int) == 2500
    assert context.get("counts.licences", int) == 500
    assert context.get("counts.modules", int) == 251
    check_wire(context.to_wire())
    context.set("summary.headline", "many")
    kept = len(context.get("findings.unmet", ContextList))
    assert 100 < kept < 2500
    assert f"and {2500 - kept} more" in rendered(context)


async def test_hostile_texts_are_shortened_and_made_harmless(tmp_path: Path) -> None:
    hostile = "x\x1b[31m" + "| <b>" + "y" * 100_000
    install(tmp_path, "user", fields=[f"Requires-Dist: {hostile}", f"License: {hostile}"])
    context = await complete(tmp_path)
    context.set("summary.headline", "a_b *c*")
    text = rendered(context)
    assert len(text) < 5_000
    assert "x\N{REPLACEMENT CHARACTER}\\[31m" in text
    assert "\x1b" not in text
    assert "<b>" not in text.replace("\\<", "").replace("\\>", "")
    assert "a\\_b \\*c\\*" in text


def test_findings_of_several_nodes_are_added_up() -> None:
    context = ContextObject()
    add_findings(context, "broken", [{"place": "a"}])
    add_findings(context, "broken", [{"place": "b"}])
    assert texts([{"place": str(each["place"])} for each in findings(context, "broken")], "place") == ["a", "b"]


async def test_the_summaries_say_what_was_counted() -> None:
    counts: dict[str, object] = dict.fromkeys(KINDS, 0)
    context = ContextObject({"inventory": {"distributions": 7}, "counts": {**counts, "unmet": 2, "licences": 1}})
    assert await summarise_clean(context, new_call()) == {
        "summary.severity": "clean",
        "summary.headline": "No problems in 7 distribution(s).",
    }
    assert await summarise_problems(context, new_call()) == {
        "summary.headline": "3 problem(s) in 7 distribution(s): unmet requirements: 2, missing licences: 1."
    }


async def test_the_report_is_replaced_as_a_whole_and_the_same_when_written_again(tmp_path: Path) -> None:
    packages, target = tmp_path / "packages", tmp_path / "out" / "audit.md"
    install(packages, "user", fields=["Requires-Dist: absent"])
    context = await complete(packages)
    context.set("summary.headline", "headline")
    context.set("report.path", str(target))
    target.parent.mkdir()
    target.write_text("old", "utf-8")
    # What a killed attempt of the same trace leaves behind.
    (target.parent / ".r.1.tmp").write_text("half a rep", "utf-8")
    report(context, new_call(attempt=2))
    first = target.read_text("utf-8")
    report(context, new_call(attempt=3))
    assert target.read_text("utf-8") == first
    assert "- by: user 1.0; requires: absent\n" in first
    assert [each.name for each in target.parent.iterdir()] == ["audit.md"]


async def test_a_report_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    context = await complete(tmp_path)
    context.set("summary.headline", "headline")
    target = tmp_path / "out" / "audit.md"
    target.mkdir(parents=True)
    context.set("report.path", str(target))
    with pytest.raises(IsADirectoryError):
        report(context, new_call())
    assert list(target.parent.iterdir()) == [target]


# Pace and cancellation.


@pytest.mark.parametrize("seconds", [-1, 601, "1", True, None])
def test_a_pace_that_is_no_number_of_seconds_is_refused(seconds: object) -> None:
    with pytest.raises(AuditError, match=r"Expected 0 to 600 seconds at 'input\.pace'"):
        pace(ContextObject({"input": {"pace": seconds}}), new_call())


def test_a_function_that_waits_stops_when_it_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    call = new_call()
    slept: list[float] = []

    def cancelled_meanwhile(seconds: float) -> None:
        slept.append(seconds)
        call.cancel()

    monkeypatch.setattr("examples.dependency_audit.time.sleep", cancelled_meanwhile)
    with pytest.raises(CallCancelledError):
        pace(ContextObject({"input": {"pace": 600}}), call)
    assert slept == [0.05]


async def test_every_function_stops_when_it_is_cancelled(tmp_path: Path) -> None:
    install(tmp_path, "one")
    context = await complete(tmp_path)
    context.set("report.path", str(tmp_path / "audit.md"))
    call = new_call()
    call.cancel()
    for function in (inventory, licences, report):
        with pytest.raises(CallCancelledError):
            function(context, call)
    for asynchronous in (requirements, modules, summarise_clean, summarise_problems):
        with pytest.raises(CallCancelledError):
            await asynchronous(context, call)
    assert not (tmp_path / "audit.md").exists()
