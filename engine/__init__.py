"""Runline: an event-sourced workflow engine on a message log.

Every public name comes from here. Names are imported when they are first used, so that a command line that only
prints its help does not pay for the engine.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.call import Call as Call
    from engine.catalogue import WorkflowVersion as WorkflowVersion
    from engine.context import ContextList as ContextList
    from engine.context import ContextObject as ContextObject
    from engine.context import Converters as Converters
    from engine.core.state import RunStatus as RunStatus
    from engine.core.state import TraceStatus as TraceStatus
    from engine.errors import ArgumentError as ArgumentError
    from engine.errors import ClosedError as ClosedError
    from engine.errors import CommandRefusedError as CommandRefusedError
    from engine.errors import ContextError as ContextError
    from engine.errors import DefinitionError as DefinitionError
    from engine.errors import LogError as LogError
    from engine.errors import RegistryError as RegistryError
    from engine.errors import RunEndedError as RunEndedError
    from engine.errors import RunlineError as RunlineError
    from engine.errors import RunNotCreatedError as RunNotCreatedError
    from engine.errors import RunNotFoundError as RunNotFoundError
    from engine.errors import WaitTimeoutError as WaitTimeoutError
    from engine.errors import WorkflowAmbiguousError as WorkflowAmbiguousError
    from engine.errors import WorkflowNotFoundError as WorkflowNotFoundError
    from engine.nodes.node_type import Configuration as Configuration
    from engine.nodes.node_type import Done as Done
    from engine.nodes.node_type import Ended as Ended
    from engine.nodes.node_type import Failed as Failed
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
    from engine.workflow.builder import WorkflowBuilder as WorkflowBuilder
    from engine.workflow.definition import WorkflowDefinition as WorkflowDefinition

_HOME = {
    "ArgumentError": "engine.errors",
    "ClosedError": "engine.errors",
    "CommandRefusedError": "engine.errors",
    "ContextError": "engine.errors",
    "DefinitionError": "engine.errors",
    "LogError": "engine.errors",
    "RegistryError": "engine.errors",
    "RunEndedError": "engine.errors",
    "RunNotCreatedError": "engine.errors",
    "RunNotFoundError": "engine.errors",
    "WaitTimeoutError": "engine.errors",
    "WorkflowAmbiguousError": "engine.errors",
    "WorkflowNotFoundError": "engine.errors",
    "Call": "engine.call",
    "Configuration": "engine.nodes.node_type",
    "ContextList": "engine.context",
    "ContextObject": "engine.context",
    "Converters": "engine.context",
    "Done": "engine.nodes.node_type",
    "Ended": "engine.nodes.node_type",
    "EngineService": "engine.service",
    "Failed": "engine.nodes.node_type",
    "NodeType": "engine.nodes.node_type",
    "Problem": "engine.nodes.node_type",
    "ProgressService": "engine.progress",
    "Registry": "engine.registry",
    "Run": "engine.run",
    "RunError": "engine.run",
    "RunStatus": "engine.core.state",
    "RunlineError": "engine.errors",
    "Step": "engine.nodes.node_type",
    "Trace": "engine.run",
    "TraceStatus": "engine.core.state",
    "Work": "engine.nodes.node_type",
    "WorkflowBuilder": "engine.workflow.builder",
    "WorkflowDefinition": "engine.workflow.definition",
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
