"""The directory of a cluster, which one cluster at a time may use."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from engine.broker.errors import BrokerError
from engine.broker.identity import new_cluster_id

_LOCK: Final = "lock"
_CLUSTER_ID: Final = "cluster-id"


class Home:
    """A directory, locked until this process and all that were given the lock have ended.

    Kafka's own lock is of no use here: a second node writes its metadata before it looks.

    Args:
        directory: The directory, kept; or None for a temporary one, which `close` removes.

    Attributes:
        path: The directory.
        temporary: Whether it is one.
        lock: The open file that is the lock.

    Raises:
        BrokerError: Another cluster has the directory, or it cannot be written.
    """

    def __init__(self, directory: Path | None) -> None:
        self.temporary = directory is None
        try:
            self.path = (directory or Path(tempfile.mkdtemp(prefix="runline-broker-"))).resolve()
            self.path.mkdir(parents=True, exist_ok=True)
            self.lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise BrokerError(f"Expected a directory that can be written, but found: {error}.") from error
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self.lock)
            raise BrokerError(
                f"Expected {self.path} to be free, but brokers run on it.", hint="End them first."
            ) from error

    def node(self, number: int) -> Path:
        """Return the directory of a node."""
        return self.path / f"node-{number}"

    def cluster_id(self, nodes: int) -> str:
        """Return the id that the directory keeps for its cluster.

        Raises:
            BrokerError: It keeps the data of another number of nodes.
        """
        there = len(list(self.path.glob("node-*")))
        if there not in {0, nodes}:
            raise BrokerError(
                f"Expected the data of {nodes} node(s) in {self.path}, found those of {there}.",
                hint=f"Start {there}, or use another directory.",
            )
        file = self.path / _CLUSTER_ID
        if not file.exists():
            file.write_text(new_cluster_id(), encoding="ascii")
        return file.read_text(encoding="ascii")

    def close(self) -> None:
        """Let go of it; a temporary one is removed. Once more does nothing."""
        if self.lock < 0:
            return
        if self.temporary:
            shutil.rmtree(self.path, ignore_errors=True)
        os.close(self.lock)
        self.lock = -1
