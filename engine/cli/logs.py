"""Log records on stderr, for people."""

import logging
import sys

from engine.cli.text import lines


class StderrHandler(logging.Handler):
    """Writes to whatever stderr is now, which a live display replaces while it draws."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            sys.stderr.write(f"{lines(self.format(record))}\n")
        except Exception:  # noqa: BLE001 - logging's own rule: a record that cannot be written is logging's affair
            self.handleError(record)


def configure_logs(*, verbose: bool, service: bool = False) -> None:
    """Let records reach stderr from WARNING on, or from INFO on.

    Args:
        verbose: Whether everybody's records are shown from INFO on.
        service: Whether ours are in any case, with the time: nobody watches a service all the time.
    """
    handler = StderrHandler()
    handler.setFormatter(logging.Formatter(f"{'%(asctime)s ' if service else ''}%(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, StderrHandler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.INFO if verbose else logging.WARNING)
    logging.getLogger("runline").setLevel(logging.INFO if service else logging.NOTSET)
