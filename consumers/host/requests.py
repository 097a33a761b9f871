"""What people ask of a group's host on this machine: a file for each request, for the host alone writes its store."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import orjson

from consumers.host.parked import Request
from engine.store.errors import StoreError

_LOGGER = logging.getLogger("runline.follow")

_FOLDER: Final = "requests"
_TIME_DIGITS: Final = 20
_READABLE: Final = 0o644


class Requests:
    """The requests of one group, in the order in which they were made.

    A file of another user may not be for the host to read, or to remove. It is left where it is, with an error line:
    what cannot be read is tried again, what cannot be removed is done once as long as the process lives.

    Args:
        directory: The group's.
    """

    def __init__(self, directory: Path) -> None:
        self._group = directory
        self._folder = directory / _FOLDER
        self._done: set[Path] = set()
        self._said: set[Path] = set()

    def leave(self, request: Request, mark: str) -> None:
        """Leave a request for the host, whether it is at work or begins later; of one change the last counts.

        Args:
            request: The request.
            mark: Tells its file from others that are made at the same moment.

        Raises:
            StoreError: It cannot be written.
        """
        # The host takes them in the order of their names.
        path = self._folder / f"{time.time_ns():0{_TIME_DIGITS}}-{mark}.json"
        try:
            self._make_folder()
            with (unfinished := path.with_suffix(".new")).open("wb") as file:
                # Whoever asks, the host must be able to read it.
                os.fchmod(file.fileno(), _READABLE)
                file.write(orjson.dumps(request._asdict()))
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(path)
        except OSError as error:
            raise StoreError(
                f"expected to leave a request for the group's host in {self._folder}, but that cannot be written: "
                f"{error.strerror or error}.",
                hint="Ask as a user who may write there, such as the one whose host it is.",
            ) from error

    def look(self) -> list[Request]:
        """Return what is asked and no host has taken; nothing is changed."""
        found: list[Request] = []
        paths: list[Path] = []
        with suppress(OSError):
            paths = self._paths()
        for path in paths:
            # The host may have taken it meanwhile, or it may not be for this user to read.
            with suppress(OSError):
                request = _read(path)
                if request is not None:
                    found.append(request)
        return found

    def take(self) -> Iterator[tuple[Path, Request]]:
        """Yield what is asked, for the host; each is to be forgotten when it is done. What is no request is removed."""
        try:
            paths = self._paths()
        except OSError as error:
            self._say(self._folder, "listed", error)
            return
        for path in paths:
            if path in self._done:
                continue
            try:
                request = _read(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                self._say(path, "read", error)
                continue
            if request is None:
                # Nobody could be told.
                self.forget(path)
            else:
                yield path, request

    def forget(self, path: Path) -> None:
        """Remove a request that was taken."""
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            self._done.add(path)
            self._say(path, "removed", error)

    def _paths(self) -> list[Path]:
        """Return the files, in the order in which they were made.

        Raises:
            OSError: They cannot be listed.
        """
        try:
            paths = [path for path in self._folder.iterdir() if path.suffix == ".json"]
        except FileNotFoundError:
            return []
        # Names of earlier versions say nothing about when, and are shorter.
        return sorted(paths, key=lambda path: (len(path.name), path.name))

    def _say(self, path: Path, what: str, error: OSError) -> None:
        if path not in self._said:
            self._said.add(path)
            _LOGGER.error(
                "What is asked in %s cannot be %s: %s; it is left there: give it to the host's user, or remove it",
                path, what, error.strerror or error,
            )  # fmt: skip

    def _make_folder(self) -> None:
        """Make the folder unless it is there, for the user whose group it is: the host must be able to remove files."""
        if self._folder.is_dir():
            return
        self._folder.mkdir(exist_ok=True)
        owner = self._group.stat()
        # Root alone may give anything away; for others it stays their own. A link put there is not followed.
        with suppress(PermissionError):
            os.chown(self._folder, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _read(path: Path) -> Request | None:
    """Return the request in a file, or None when it holds none.

    Raises:
        OSError: It cannot be read.
    """
    text = path.read_bytes()
    with suppress(KeyError, TypeError, ValueError):
        row = orjson.loads(text)
        if row["action"] in ("retry", "skip") and isinstance(row["key"], str):
            return Request(row["action"], row["key"])
    return None
