"""Who hears what an executor reads back."""

from engine.core.commands import Command
from engine.core.rejection import Rejection
from engine.core.view import Accepted


class Listener:
    """Hears what a partition's owner read back. The base class hears nothing."""

    def accepted(self, accepted: Accepted) -> None:
        """A commit counts."""

    def rejected(self, command: Command, rejection: Rejection) -> None:
        """A command was refused directly, and the refusal is on the log."""

    def recognised(self, command: Command) -> None:
        """A command asks for what was done before, so it changes nothing."""
