"""Planting: a bug is a function of the product with a few characters changed, for as long as a context is entered.

The function's code is replaced in place, so everybody who has the function has the bug, however they came by it.
"""

import ast
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from types import CodeType, FunctionType
from typing import NamedTuple


class Edit(NamedTuple):
    """One change of a function.

    Attributes:
        place: `module:function` or `module:Class.method`.
        old: Text that its source has once, without the indentation of its class.
        new: What stands there instead.
    """

    place: str
    old: str
    new: str


class Bug(NamedTuple):
    """A mistake that somebody could have made.

    Attributes:
        name: Words with dashes.
        stands_for: The mistake, in a sentence.
        edits: What makes it.
        hunt: `storm` for random seeds, or the name of a directed scenario.
        within: It must be caught within so many seeds.
    """

    name: str
    stands_for: str
    edits: tuple[Edit, ...]
    hunt: str
    within: int


@contextmanager
def planted(bug: Bug) -> Iterator[None]:
    """Have a bug."""
    with ExitStack() as stack:
        for edit in bug.edits:
            stack.enter_context(_edited(edit))
        yield


@contextmanager
def _edited(edit: Edit) -> Iterator[None]:
    function = _find(edit.place)
    code = function.__code__
    function.__code__ = _rewritten(function, edit)
    try:
        yield
    finally:
        function.__code__ = code


def _find(place: str) -> FunctionType:
    module, _, path = place.partition(":")
    found: object = importlib.import_module(module)
    for name in path.split("."):
        found = inspect.getattr_static(found, name)
    match found:
        case property(fget=function) | cached_property(func=function) if function is not None:
            found = function
        case classmethod() | staticmethod():
            found = found.__func__
        case _:
            found = inspect.unwrap(found) if callable(found) else found
    assert isinstance(found, FunctionType), f"{place} is no function"
    return found


def _rewritten(function: FunctionType, edit: Edit) -> CodeType:
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(edit.old) == 1, f"{edit.place} has {edit.old!r} {source.count(edit.old)} times instead of once"
    tree = ast.parse(source.replace(edit.old, edit.new))
    (definition,) = tree.body
    assert isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef)
    definition.decorator_list = []
    names: dict[str, object] = {}
    exec(compile(tree, f"<{edit.place} with a bug>", "exec"), dict(function.__globals__), names)  # noqa: S102 - our own text
    made = names[definition.name]
    assert isinstance(made, FunctionType)
    return made.__code__
