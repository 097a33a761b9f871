"""The README's programs run as they stand there."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_readmes_program_runs_as_it_stands(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text()
    program, _ = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (workflow,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "program.py").write_text(program)
    (tmp_path / "example.yaml").write_text(workflow)
    done = subprocess.run(
        [sys.executable, "-W", "error", "program.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    assert done.stdout == "What is the capital of Brazil? Brasilia, user 42.\n"
    assert done.stdout.strip() in text


def test_the_readmes_service_follows_the_log_of_its_program(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text()
    program, service = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (workflow,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (command,) = re.findall(r"^\$ runline (follow .*)$", text, re.MULTILINE)
    for name, content in (("program.py", program), ("notify.py", service), ("example.yaml", workflow)):
        (tmp_path / name).write_text(content)
    subprocess.run([sys.executable, "program.py"], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL, timeout=60)
    with subprocess.Popen(
        [sys.executable, "-m", "engine.cli", *command.split()],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as following:
        assert following.stdout is not None
        try:
            line = following.stdout.readline()
        finally:
            following.terminate()
            following.wait(30)
    assert re.fullmatch(r"example Success [0-9a-f]{64}\.[0-9]+\n", line)
    assert re.search(r"^example Success [0-9a-f]{64}\.[0-9]+$", text, re.MULTILINE)
