"""Arguments of a program's calls, checked before anything is done with them."""

import inspect
from collections.abc import Mapping, Sequence
from math import isnan
from os import PathLike
from pathlib import Path

from pydantic import ValidationError

from engine.context import ContextObject
from engine.core.commands import TAGS
from engine.core.identity import is_run_id
from engine.errors import ArgumentError, RunIdInvalidError
from engine.limits import RUN_TAGS_MAX, TAG_CHARACTERS_MAX
from engine.log.opening import location_problem
from engine.registry import Registry
from engine.workflow.definition import WorkflowDefinition


def check_registry(registry: object) -> None:
    """Refuse what is no registry.

    Raises:
        ArgumentError: It is something else.
    """
    if registry is not None and not isinstance(registry, Registry):
        raise _wrong("a Registry", registry)


def check_location(location: object) -> None:
    """Refuse what is neither a directory's name nor a log.

    Raises:
        ArgumentError: It is something else, or no directory can have this name.
    """
    if isinstance(location, str | Path):
        if problem := location_problem(location):
            raise ArgumentError(f"{problem[:1].upper()}{problem[1:]}.")
    elif not hasattr(location, "read_key"):
        raise _wrong("a directory or an open log", location)


def check_workflow(workflow: object) -> None:
    """Refuse what is neither a workflow's file nor a definition.

    Raises:
        ArgumentError: It is something else.
    """
    if isinstance(workflow, str | PathLike | WorkflowDefinition):
        return
    hint = "Read data with WorkflowDefinition.model_validate(data)." if isinstance(workflow, Mapping) else ""
    raise _wrong("a workflow's file or a WorkflowDefinition", workflow, hint)


def check_workflow_id(workflow_id: object) -> None:
    """Refuse what is no workflow's id.

    Raises:
        ArgumentError: It is no text.
    """
    if not isinstance(workflow_id, str):
        raise _wrong("a workflow's id, a text", workflow_id)


def check_run_id(run_id: object) -> None:
    """Refuse what is no run id.

    Raises:
        RunIdInvalidError: It is something else.
    """
    if not isinstance(run_id, str) or not is_run_id(run_id):
        raise RunIdInvalidError(f"Expected a run id, a UUID of version 7 in lower case, but found {run_id!r:.80}.")


def check_progress_services(services: object) -> None:
    """Refuse what are no progress services.

    Raises:
        ArgumentError: It is no sequence, or one of them lacks a method, or has one that would not run, or is a class.
    """
    expected = "a sequence of objects with run_progress and trace_progress"
    if not isinstance(services, Sequence):
        raise _wrong(expected, services)
    for service in services:
        methods = [getattr(service, name, None) for name in ("run_progress", "trace_progress")]
        if isinstance(service, type) or not all(callable(method) for method in methods):
            raise _wrong(expected, service)
        if any(is_generator(method) for method in methods):
            raise _wrong(f"{expected} that run when they are called", service, "Leave out 'yield'.")


def is_generator(function: object) -> bool:
    """Return whether calling it makes a generator, and runs nothing."""
    # An object is called by its class's method.
    called = (function, type(function).__call__)
    return any(inspect.isgeneratorfunction(each) or inspect.isasyncgenfunction(each) for each in called)


def check_durability(durability: object) -> None:
    """Refuse a word that names no durability: a slip must not give the weaker one.

    Raises:
        ArgumentError: It is neither `fsync` nor `process`.
    """
    if durability not in ("fsync", "process"):
        raise ArgumentError(f"Expected 'fsync' or 'process' as durability, but found {durability!r}.")


def check_running_max(name: str, value: object) -> None:
    """Refuse a limit that nothing could run under.

    Raises:
        ArgumentError: It is no integer from 1 on.
    """
    if type(value) is not int or value < 1:
        raise ArgumentError(f"Expected an integer of at least 1 as {name}, but found {value!r}.")


def check_timeout(timeout: object) -> None:
    """Refuse a timeout that is no time.

    Raises:
        ArgumentError: It is neither None nor a number of seconds from 0 on, or larger than a float can be.
    """
    if timeout is None:
        return
    expected = "Expected seconds from 0 on as timeout, or None"
    if isinstance(timeout, int):
        try:
            float(timeout)
        except OverflowError as error:
            # Not the number itself: it may have more digits than Python prints.
            raise ArgumentError(f"{expected}, but found an integer that is larger than a float can be.") from error
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or isnan(timeout) or timeout < 0:
        raise ArgumentError(f"{expected}, but found {timeout!r}.")


def check_context(context: object) -> None:
    """Refuse what is no context.

    Raises:
        ArgumentError: It is neither None, a ContextObject nor a mapping.
    """
    if context is None or isinstance(context, ContextObject | Mapping):
        return
    hint = "Read a text with ContextObject.deserialize(text)." if isinstance(context, str | bytes) else ""
    raise _wrong("a ContextObject or a mapping as the context", context, hint)


def check_tags(tags: object) -> None:
    """Refuse what no run can be tagged with.

    Raises:
        ArgumentError: It is no sequence of texts, or there are too many, equal or unfit ones.
    """
    if isinstance(tags, str | bytes) or not isinstance(tags, Sequence):
        raise _wrong("a sequence of texts as tags", tags)
    try:
        TAGS.validate_python(list(tags))
    except ValidationError as error:
        raise ArgumentError(
            f"Expected at most {RUN_TAGS_MAX} different tags of 1 to {TAG_CHARACTERS_MAX} characters, none of them a "
            f"control character, but found {list(tags)!r:.200}."
        ) from error


def _wrong(expected: str, found: object, hint: str = "") -> ArgumentError:
    name = f"the class {found.__name__}" if isinstance(found, type) else f"{found!r:.80} of type {type(found).__name__}"
    return ArgumentError(f"Expected {expected}, but found {name}.", hint=hint)
