"""The whole engine on a simulated log: a storm of faults, then a calm phase in which everything must end.

The seeds are fresh each time; the command that runs the same ones again is printed first. RUNLINE_SIMULATION_FIRST is
the first seed, if given.
"""

import os
import secrets
import subprocess
import sys

from tests.simulation.__main__ import SEEDS_MAX

SEEDS = 2_000
SECONDS_MAX = 200
"""No more seeds are begun then: on a machine that does other work, too, there are fewer of them."""


def test_whatever_happens_every_run_ends_once_and_every_reader_sees_the_same() -> None:
    given = os.environ.get("RUNLINE_SIMULATION_FIRST")
    first = secrets.randbelow(SEEDS_MAX) if given is None else int(given)
    command = [sys.executable, "-m", "tests.simulation", "--seeds", str(SEEDS), "--first", str(first)]
    command += ["--seconds", str(SECONDS_MAX), "--jobs", str(os.cpu_count() or 1)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr)
    assert done.returncode == 0, f"RUNLINE_SIMULATION_FIRST={first}\n{done.stdout}\n{done.stderr}"
