"""The README's first program runs as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_readmes_program_runs_as_it_stands(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text()
    (program,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
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
