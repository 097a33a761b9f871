"""The nursery: has loaded everything that workers need, and makes each of them in no time, by a fork.

It obeys lines of JSON on its input: {"role", "words", "said"} makes a worker whose output goes to the file `said`;
{"signal", "worker"} sends a signal to one that it has not buried yet. It prints {"begun": pid} for each of the first,
and {"ended": pid, "code"} when a worker has ended, however. It kills all of them when its input ends, which the
operating system sees to when its owner dies: also those that stand still.
"""

import json
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import cast

from tests.chaos.client import main as client
from tests.chaos.executor import main as executor
from tests.chaos.folder import main as folder
from tests.chaos.follower import main as follower

ROLES: Mapping[str, Callable[[Sequence[str]], int]] = {
    "executor": executor,
    "client": client,
    "follower": follower,
    "folder": folder,
}
_ORDER_BYTES = 65_536


class Nursery:
    """The workers, and the orders about them."""

    def __init__(self) -> None:
        self._workers: set[int] = set()
        self._rest = b""
        self._woken, wake = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(self._woken, False)
        self._private = (sys.stdin.fileno(), sys.stdout.fileno(), self._woken, wake)
        signal.signal(signal.SIGCHLD, _nothing)
        signal.set_wakeup_fd(wake)

    def run(self) -> None:
        """Obey until the input ends."""
        tasks = len(list(Path("/proc/self/task").iterdir())) if Path("/proc/self/task").exists() else 1
        assert tasks == 1, "a process with threads must not fork"
        try:
            while self._turn():
                pass
        finally:
            for worker in self._workers:
                os.kill(worker, signal.SIGKILL)

    def _turn(self) -> bool:
        ready, _, _ = select.select([sys.stdin.fileno(), self._woken], [], [])
        if self._woken in ready:
            os.read(self._woken, _ORDER_BYTES)
            self._bury()
        if sys.stdin.fileno() in ready:
            data = os.read(sys.stdin.fileno(), _ORDER_BYTES)
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                self._obey(json.loads(line))
            return bool(data)
        return True

    def _bury(self) -> None:
        for worker in list(self._workers):
            pid, status = os.waitpid(worker, os.WNOHANG)
            if pid:
                self._workers.discard(pid)
                _say(ended=pid, code=os.waitstatus_to_exitcode(status))

    def _obey(self, order: Mapping[str, object]) -> None:
        if "role" not in order:
            worker = cast("int", order["worker"])
            if worker in self._workers:  # not buried, so the number is still its own
                os.kill(worker, cast("int", order["signal"]))
            return
        worker = os.fork()
        if not worker:
            self._become(str(order["role"]), cast("list[str]", order["words"]), str(order["said"]))
        self._workers.add(worker)
        _say(begun=worker)

    def _become(self, role: str, words: list[str], said: str) -> None:
        """Be a worker, and end."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            file = os.open(said, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            nothing = os.open(os.devnull, os.O_RDONLY)
            for private in self._private[2:]:
                os.close(private)
            for old, new in ((nothing, 0), (file, 1), (file, 2)):
                os.dup2(old, new)
            code = ROLES[role](words)
        except BaseException:  # noqa: BLE001 - whatever it is, this process ends here, and not in its parent's code
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)


def _say(**fields: object) -> None:
    os.write(sys.stdout.fileno(), json.dumps(fields).encode() + b"\n")


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """Wake up: the default would not."""


if __name__ == "__main__":
    Nursery().run()
