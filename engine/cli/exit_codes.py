"""What the process's exit code says."""

from typing import Final

SUCCESS: Final = 0
RUN_FAILED: Final = 1
"""A run has failed or was cancelled."""
OPEN: Final = 1
"""Of `topics plan`: something is to be done."""
USAGE: Final = 2
"""The command line, with the form of a run's id or an application's name, the settings, a workflow file or a context is
not what was expected; nothing was written."""
OPERATING: Final = 3
"""Something outside went wrong: the log, the application, a check of `doctor`."""
SIGNALLED: Final = 128
"""Added to the number of the signal that stopped the command, as shells do: 130 is Ctrl-C."""
