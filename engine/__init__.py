"""Runline: an event-sourced workflow engine on a message log.

Every public name comes from here. Names are imported when they are first used, so that a command line that only
prints its help does not pay for the engine.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.call import Call as Call
    from engine.call import CallCancelledError as CallCancelledError
    from engine.catalogue import WorkflowVersion as WorkflowVersion
    from engine.context import ContextList as ContextList
    from engine.context import ContextObject as ContextObject
    from engine.context import Converters as Converters
    from engine.context.errors import ContextChangeError as ContextChangeError
    from engine.context.errors import ContextContainerError as ContextContainerError
    from engine.context.errors import ContextConverterError as ContextConverterError
    from engine.context.errors import ContextCountError as ContextCountError
    from engine.context.errors import ContextDepthError as ContextDepthError
    from engine.context.errors import ContextFloatError as ContextFloatError
    from engine.context.errors import ContextFormError as ContextFormError
    from engine.context.errors import ContextIndexError as ContextIndexError
    from engine.context.errors import ContextIntegerError as ContextIntegerError
    from engine.context.errors import ContextJSONError as ContextJSONError
    from engine.context.errors import ContextKeyError as ContextKeyError
    from engine.context.errors import ContextMissingError as ContextMissingError
    from engine.context.errors import ContextNameError as ContextNameError
    from engine.context.errors import ContextPathError as ContextPathError
    from engine.context.errors import ContextSizeError as ContextSizeError
    from engine.context.errors import ContextTextError as ContextTextError
    from engine.context.errors import ContextTimeError as ContextTimeError
    from engine.context.errors import ContextTypeError as ContextTypeError
    from engine.context.errors import ContextUnregisteredError as ContextUnregisteredError
    from engine.context.errors import ContextValueError as ContextValueError
    from engine.core.state import RunStatus as RunStatus
    from engine.core.state import TraceStatus as TraceStatus
    from engine.errors import ApplicationError as ApplicationError
    from engine.errors import ArgumentError as ArgumentError
    from engine.errors import ClosedError as ClosedError
    from engine.errors import CommandRefusedError as CommandRefusedError
    from engine.errors import ContextError as ContextError
    from engine.errors import DefinitionError as DefinitionError
    from engine.errors import LogDamagedError as LogDamagedError
    from engine.errors import LogError as LogError
    from engine.errors import LogFullError as LogFullError
    from engine.errors import LogLockedError as LogLockedError
    from engine.errors import LoopRunningError as LoopRunningError
    from engine.errors import RegistryError as RegistryError
    from engine.errors import RunEndedError as RunEndedError
    from engine.errors import RunIdInvalidError as RunIdInvalidError
    from engine.errors import RunlineError as RunlineError
    from engine.errors import RunNotCreatedError as RunNotCreatedError
    from engine.errors import RunNotFoundError as RunNotFoundError
    from engine.errors import WaitTimeoutError as WaitTimeoutError
    from engine.errors import WorkflowAmbiguousError as WorkflowAmbiguousError
    from engine.errors import WorkflowNotFoundError as WorkflowNotFoundError
    from engine.log.errors import LogDeniedError as LogDeniedError
    from engine.log.errors import LogUnreachableError as LogUnreachableError
    from engine.log.errors import MemberReplacedError as MemberReplacedError
    from engine.log.errors import RecordTooLargeError as RecordTooLargeError
    from engine.log.errors import TopicsError as TopicsError
    from engine.nodes.node_type import Configuration as Configuration
    from engine.nodes.node_type import Done as Done
    from engine.nodes.node_type import Ended as Ended
    from engine.nodes.node_type import Failed as Failed
    from engine.nodes.node_type import Left as Left
    from engine.nodes.node_type import NodeType as NodeType
    from engine.nodes.node_type import Problem as Problem
    from engine.nodes.node_type import Step as Step
    from engine.nodes.node_type import Work as Work
    from engine.progress import ProgressService as ProgressService
    from engine.registry import Registry as Registry
    from engine.run import Run as Run
    from engine.run import RunError as RunError
    from engine.run import Trace as Trace
    from engine.service import EngineService as EngineService
    from engine.settings import SettingsError as SettingsError
    from engine.workflow.builder import WorkflowBuilder as WorkflowBuilder
    from engine.workflow.definition import WorkflowDefinition as WorkflowDefinition
    from engine.workflow.validation import InvalidDefinitionError as InvalidDefinitionError

_HOME = {
    "ApplicationError": "engine.errors",
    "ArgumentError": "engine.errors",
    "Call": "engine.call",
    "CallCancelledError": "engine.call",
    "ClosedError": "engine.errors",
    "CommandRefusedError": "engine.errors",
    "Configuration": "engine.nodes.node_type",
    "ContextChangeError": "engine.context.errors",
    "ContextContainerError": "engine.context.errors",
    "ContextConverterError": "engine.context.errors",
    "ContextCountError": "engine.context.errors",
    "ContextDepthError": "engine.context.errors",
    "ContextError": "engine.errors",
    "ContextFloatError": "engine.context.errors",
    "ContextFormError": "engine.context.errors",
    "ContextIndexError": "engine.context.errors",
    "ContextIntegerError": "engine.context.errors",
    "ContextJSONError": "engine.context.errors",
    "ContextKeyError": "engine.context.errors",
    "ContextList": "engine.context",
    "ContextMissingError": "engine.context.errors",
    "ContextNameError": "engine.context.errors",
    "ContextObject": "engine.context",
    "ContextPathError": "engine.context.errors",
    "ContextSizeError": "engine.context.errors",
    "ContextTextError": "engine.context.errors",
    "ContextTimeError": "engine.context.errors",
    "ContextTypeError": "engine.context.errors",
    "ContextUnregisteredError": "engine.context.errors",
    "ContextValueError": "engine.context.errors",
    "Converters": "engine.context",
    "DefinitionError": "engine.errors",
    "Done": "engine.nodes.node_type",
    "Ended": "engine.nodes.node_type",
    "EngineService": "engine.service",
    "Failed": "engine.nodes.node_type",
    "InvalidDefinitionError": "engine.workflow.validation",
    "Left": "engine.nodes.node_type",
    "LogDamagedError": "engine.errors",
    "LogDeniedError": "engine.log.errors",
    "LogError": "engine.errors",
    "LogFullError": "engine.errors",
    "LogLockedError": "engine.errors",
    "LogUnreachableError": "engine.log.errors",
    "LoopRunningError": "engine.errors",
    "MemberReplacedError": "engine.log.errors",
    "NodeType": "engine.nodes.node_type",
    "Problem": "engine.nodes.node_type",
    "ProgressService": "engine.progress",
    "RecordTooLargeError": "engine.log.errors",
    "Registry": "engine.registry",
    "RegistryError": "engine.errors",
    "Run": "engine.run",
    "RunEndedError": "engine.errors",
    "RunError": "engine.run",
    "RunIdInvalidError": "engine.errors",
    "RunlineError": "engine.errors",
    "RunNotCreatedError": "engine.errors",
    "RunNotFoundError": "engine.errors",
    "RunStatus": "engine.core.state",
    "SettingsError": "engine.settings",
    "Step": "engine.nodes.node_type",
    "TopicsError": "engine.log.errors",
    "Trace": "engine.run",
    "TraceStatus": "engine.core.state",
    "WaitTimeoutError": "engine.errors",
    "Work": "engine.nodes.node_type",
    "WorkflowAmbiguousError": "engine.errors",
    "WorkflowBuilder": "engine.workflow.builder",
    "WorkflowDefinition": "engine.workflow.definition",
    "WorkflowNotFoundError": "engine.errors",
    "WorkflowVersion": "engine.catalogue",
}

__all__ = [  # noqa: PLE0604 - the table is the one list of names
    *_HOME
]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'engine' has no attribute {name!r}")
    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(_HOME)
