"""The keeper ends what it keeps, however its owner ends; small programs stand for nodes."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from engine.broker import keeper

DEADLINE_SECONDS = 180
"""Far more than anything here takes; a test that reaches it has failed."""

WAITS = "import time; print('ready', flush=True, file=sys.stderr); time.sleep(600)"
SAYS_GOODBYE = (
    "import signal, time\n"
    "def leave(*_): print('goodbye', flush=True, file=sys.stderr); sys.exit()\n"
    f"signal.signal(signal.SIGTERM, leave)\n{WAITS}"
)
STAYS = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {WAITS}"


class Kept(NamedTuple):
    """A keeper, and the number of the process that it keeps."""

    keeper: "subprocess.Popen[str]"
    node: int


Keep = Callable[..., Kept]


@pytest.fixture
def keep() -> Iterator[Keep]:
    """Start a keeper of a Python program, whose number has been read and which has said that it is ready."""
    keepers: list[subprocess.Popen[str]] = []

    def start(program: str, grace: float = 0, directory: Path | str = "") -> Kept:
        words = [sys.executable, "-c", f"import sys; {program}"]
        command = [sys.executable, "-I", "-S", keeper.__file__, str(grace), str(directory), *words]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        keepers.append(process)
        assert process.stdout is not None
        node = int(process.stdout.readline())
        assert process.stderr is not None
        assert process.stderr.readline() == "ready\n"
        return Kept(process, node)

    yield start
    for process in keepers:
        with process:
            process.kill()


def close(kept: Kept) -> str:
    """Close what the owner holds, and return what the node still printed; it has ended when this returns."""
    assert kept.keeper.stdin is not None
    kept.keeper.stdin.close()
    return rest(kept)


def rest(kept: Kept) -> str:
    """Return what the node still prints until it has ended."""
    assert kept.keeper.stderr is not None
    printed = kept.keeper.stderr.read()  # ends when the last process that can write to it has ended: the node too
    assert kept.keeper.wait(DEADLINE_SECONDS) == 0
    return printed


def test_a_node_is_killed_and_its_directory_removed_when_the_owner_lets_go(keep: Keep, tmp_path: Path) -> None:
    directory = tmp_path / "cluster"
    (directory / "data").mkdir(parents=True)
    assert close(keep(SAYS_GOODBYE, directory=directory)) == ""
    assert not directory.exists()


def test_a_node_whose_data_are_kept_may_end_in_order(keep: Keep) -> None:
    assert close(keep(SAYS_GOODBYE, grace=DEADLINE_SECONDS)) == "goodbye\n"


def test_a_paused_node_may_end_in_order_too(keep: Keep) -> None:
    kept = keep(SAYS_GOODBYE, grace=DEADLINE_SECONDS)
    os.kill(kept.node, signal.SIGSTOP)
    assert close(kept) == "goodbye\n"


def test_a_node_that_does_not_end_in_time_is_killed(keep: Keep) -> None:
    assert close(keep(STAYS, grace=0.1)) == ""


def test_a_keeper_that_is_told_to_end_ends_its_node_first(keep: Keep) -> None:
    kept = keep(SAYS_GOODBYE, grace=DEADLINE_SECONDS)
    kept.keeper.send_signal(signal.SIGTERM)
    assert rest(kept) == "goodbye\n"


def test_a_keeper_ends_with_its_node_and_leaves_the_directory(keep: Keep, tmp_path: Path) -> None:
    assert rest(keep("print('ready', file=sys.stderr)", directory=tmp_path)) == ""
    assert tmp_path.exists()
