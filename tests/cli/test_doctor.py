import shutil
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from engine.cli import checks
from tests.cli.conftest import APP, DATA, Runline


def test_a_sound_installation_passes_every_check_and_nothing_is_made(runline: Runline) -> None:
    answer = runline("doctor", "--app", APP, "--json")
    # The terminal's encoding is that of the captured output, which is not ours to promise.
    wrong = [check for check in answer.json["checks"] if not check["ok"] and check["name"] != "terminal"]
    assert wrong == []
    assert not Path("data").exists()
    assert [check["name"] for check in answer.json["checks"]] == [
        "python", "dependencies", "names", "terminal", "directory", "lock", "disk", "log", "application",
    ]  # fmt: skip


def test_doctor_prints_one_line_per_check_and_fails_when_one_fails(runline: Runline) -> None:
    answer = runline("doctor", "--app", "nowhere:registry")
    assert answer.code == 3
    assert len(answer.out.splitlines()) == 9
    assert "FAILED application: " in answer.out


def test_a_log_that_was_written_is_read_completely(runline: Runline) -> None:
    runline("publish", DATA / "greet.yaml")
    assert "log: 1 records, all readable" in runline("doctor").out


def test_a_damaged_log_is_found(runline: Runline) -> None:
    runline("publish", DATA / "greet.yaml")
    shutil.rmtree(Path("data") / "store")
    answer = runline("doctor")
    assert answer.code == 3
    assert "FAILED log: " in answer.out


def test_a_directory_that_cannot_be_written_is_found() -> None:
    Path("file").touch()
    assert not checks.check_directory(Path("file")).ok
    assert not checks.check_directory(Path("file/below")).ok
    # /proc takes no files from anybody, the superuser included.
    assert not checks.check_directory(Path("/proc/runline")).ok
    assert checks.check_directory(Path("some/new/place")).ok


@pytest.mark.parametrize("shadow", ["engine.py", "projections/__init__.py", "consumers"])
def test_a_file_that_shadows_a_package_is_found(tmp_path: Path, shadow: str) -> None:
    assert checks.check_names(tmp_path).ok
    place = tmp_path / shadow
    place.parent.mkdir(exist_ok=True)
    place.mkdir() if shadow == "consumers" else place.touch()
    found = checks.check_names(tmp_path)
    assert not found.ok
    assert shadow.partition("/")[0] in found.found


def test_another_distribution_with_our_names_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "packages_distributions", lambda: {"engine": ["runline", "search-engine"]})
    found = checks.check_names(tmp_path)
    assert not found.ok
    assert "search-engine provides engine too" in found.found


def test_a_dependency_that_is_missing_or_too_old_is_found() -> None:
    found = checks._dependencies([Requirement("rich>=999"), Requirement("no-such-distribution"), Requirement("orjson")])
    assert not found.ok
    assert found.found == f"expected rich>=999, found {version('rich')}; no-such-distribution is not installed"


def test_a_full_disk_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks.check_disk(Path("data")).ok
    monkeypatch.setattr(checks, "DISK_FREE_BYTES_MIN", shutil.disk_usage(".").total + 1)
    assert not checks.check_disk(Path("data")).ok


def test_a_terminal_that_is_not_utf_8_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("ascii").open("w", encoding="ascii") as stdout:
        monkeypatch.setattr("sys.stdout", stdout)
        found = checks.check_terminal()
        monkeypatch.undo()
    assert not found.ok
    assert "stdout ascii" in found.found
