"""Operating errors: one base, each with a code, a sentence and a hint.

Refusals of the engine are data (`engine.core.rejection`), broken invariants are assertions; the three never mix.
"""

from typing import ClassVar


class RunlineError(Exception):
    """Something outside the engine's rules went wrong; the text says what was expected, where, and what to do.

    Attributes:
        code: A stable word for programs, such as `workflow_not_found`.
        hint: What to do next, or an empty text.
    """

    code: ClassVar[str] = "error"
    hint: str

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        """Return the message, followed by the hint."""
        message = super().__str__()
        return f"{message} {self.hint}" if self.hint else message


class DefinitionError(RunlineError):
    """A workflow definition cannot be used; all its problems are listed."""

    code = "definition_invalid"


class WorkflowNotFoundError(RunlineError):
    """No workflow has this name, id or version."""

    code = "workflow_not_found"


class WorkflowAmbiguousError(RunlineError):
    """Several workflows have this name."""

    code = "workflow_ambiguous"


class RunNotFoundError(RunlineError):
    """No run has this id."""

    code = "run_not_found"


class RunIdInvalidError(RunlineError):
    """The text is no run id."""

    code = "run_id_invalid"


class RunNotCreatedError(RunlineError):
    """The run was started before, so it cannot be started again."""

    code = "run_not_created"


class RunEndedError(RunlineError):
    """The run has ended, so nothing can change it."""

    code = "run_ended"


class CommandRefusedError(RunlineError):
    """The engine refused a command; the text is the reason on the log."""

    code = "command_refused"


class WaitTimeoutError(RunlineError):
    """The run did not end in time, or it was not found out in time what has become of it."""

    code = "wait_timeout"


class LoopRunningError(RunlineError):
    """A blocking call was made inside a running event loop."""

    code = "loop_running"


class RegistryError(RunlineError):
    """A name is registered twice, or is not registered."""

    code = "registry"


class ContextError(RunlineError):
    """A context cannot hold, find or give a value; see the subclasses in `engine.context`."""

    code = "context"


class LogError(RunlineError):
    """The log cannot be read or written now."""

    code = "log"


class LogLockedError(LogError):
    """Another process has the log open for writing."""

    code = "log_locked"


class LogDamagedError(LogError):
    """The log's bytes are not what was written; it is refused, never shortened."""

    code = "log_damaged"


class LogFullError(LogError):
    """There is no space left for the log."""

    code = "log_full"


class ArgumentError(RunlineError):
    """A call was given something it cannot work with; nothing was done."""

    code = "argument"


class ClosedError(RunlineError):
    """The engine or log was closed."""

    code = "closed"


class ApplicationError(RunlineError):
    """An application named as `module:attribute` cannot be loaded."""

    code = "application"
