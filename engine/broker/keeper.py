"""The keeper of one node: a small process that starts it, and ends it when the owner closes or dies.

Run as a program, with nothing but the standard library: `keeper.py GRACE DIRECTORY COMMAND...`. It writes the number
of the node's process to stdout. Its stdin is a pipe that the owner holds: the operating system closes it however the
owner ends, kill -9 included. Then the node is asked to end, and killed after GRACE seconds; a DIRECTORY that is not
empty is removed after that. When the node ends by itself, so does the keeper, and removes nothing.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
from types import FrameType


def main(grace: str, directory: str, *command: str) -> None:
    """Keep a node until stdin ends or the node does."""
    signal.signal(signal.SIGTERM, _leave)
    # stdout is for the owner; what the node prints goes where our stderr goes, its log.
    node = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)  # noqa: S603 - the owner's own words
    try:
        print(node.pid, flush=True)  # noqa: T201 - the owner reads it
        threading.Thread(target=_follow, args=(node,), daemon=True).start()
        os.read(sys.stdin.fileno(), 1)
    finally:
        _end(node, float(grace))
        if directory:
            shutil.rmtree(directory, ignore_errors=True)


def _leave(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def _follow(node: "subprocess.Popen[bytes]") -> None:
    node.wait()
    if not _ending.is_set():
        os._exit(0)


def _end(node: "subprocess.Popen[bytes]", grace: float) -> None:
    _ending.set()
    if grace:
        node.terminate()
        node.send_signal(signal.SIGCONT)  # a paused one hears only then
        try:
            node.wait(grace)
        except subprocess.TimeoutExpired:
            pass
        else:
            return
    node.kill()
    node.wait()


_ending = threading.Event()

if __name__ == "__main__":
    main(*sys.argv[1:])
