"""What is published: the archive of sources is the whole project, and the package built from it the code alone."""

import subprocess
import sys
import tarfile
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parents[1]
DEADLINE_SECONDS = 60.0


def build(source: Path, target: str, directory: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(directory)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False, timeout=DEADLINE_SECONDS)
    assert done.returncode == 0, done.stderr
    (built,) = directory.glob("*.tar.gz" if target == "sdist" else "*.whl")
    return built


def test_the_archive_of_sources_is_the_whole_project_and_the_package_is_built_from_it(tmp_path: Path) -> None:
    with tarfile.open(build(ROOT, "sdist", tmp_path)) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (source,) = (tmp_path / "unpacked").iterdir()
    for top in ("engine", "projections", "consumers", "tests", "benchmarks", "examples", "schemas", "docs"):
        for kind in ("*.py", "*.md", "*.yaml", "*.schema.json"):
            ours = {path.relative_to(ROOT) for path in (ROOT / top).rglob(kind)}
            assert ours == {path.relative_to(source) for path in (source / top).rglob(kind)}, top
    top_files = {path.name for path in source.iterdir()}
    assert {"Makefile", "README.md", "CHANGELOG.md", "LICENSE", "compose.yaml", "Dockerfile"} <= top_files
    with ZipFile(build(source, "wheel", tmp_path)) as wheel:
        names = wheel.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"engine", "projections", "consumers"}
    for package in ("engine", "projections", "consumers"):
        assert f"{package}/py.typed" in names
        assert {name for name in names if name.startswith(package) and name.endswith(".py")} == {
            path.relative_to(ROOT).as_posix() for path in (ROOT / package).rglob("*.py")
        }
