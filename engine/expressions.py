"""JMESPath over contexts: pure, and with a bound on the work that one evaluation does.

A typed value is seen as what people compare: a Decimal as a number, every other as its text; a custom type's value as
the JSON it stands for. What is selected unchanged keeps its type; what a function computes from it is plain JSON.
Texts of datetimes compare as texts, so compare only such of one offset.

The language cannot loop, but it can multiply: `[@, @][]` doubles a list, and a filter that calls `contains` is
quadratic. So steps are counted, and an evaluation that needs more than EXPRESSION_STEPS_MAX is refused.
"""

import difflib
import math
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Final, cast

import orjson
from jmespath import exceptions, functions, parser, visitor

from engine.context.check import check_wire
from engine.context.values import TYPE, VALUE, Wire, WireObject
from engine.errors import ContextError, RunlineError
from engine.limits import (
    CONTEXT_VALUES_MAX,
    EXPRESSION_CHARACTERS_MAX,
    EXPRESSION_DEPTH_MAX,
    EXPRESSION_STEPS_MAX,
)

if TYPE_CHECKING:
    from jmespath.visitor import _TreeNode as Node

_CHARACTERS_PER_STEP: Final = 256
_SHOWN_CHARACTERS: Final = 200
_INTEGER_CHARACTERS: Final = 20
_QUOTED: Final = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`""", re.DOTALL)
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_TABLE: Final = functions.Functions.FUNCTION_TABLE


class ExpressionError(RunlineError):
    """An expression is no JMESPath, or cannot be evaluated over a context.

    Attributes:
        position: The character, from 0, at which the expression stops being one; None when it is only evaluated wrong.
    """

    code = "expression"

    def __init__(self, message: str, *, position: int | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.position = position


def check(expression: str) -> None:
    """Check an expression without evaluating it.

    Raises:
        ExpressionError: It is no JMESPath, calls unknown functions, or is over a limit; the text names the column.
    """
    _compiled(expression)


def search(expression: str, context: WireObject) -> Wire:
    """Return what the expression selects from the context; None where it selects nothing.

    Args:
        expression: JMESPath, at most 2,000 characters.
        context: A valid wire object; is left as it is, and the result may share parts of it.

    Raises:
        ExpressionError: It is no JMESPath, does not fit the context's values, needs too many steps, or its result is
            no value that a context can hold.
    """
    tree = _compiled(expression)
    try:
        result = _wire(_Interpreter().visit(tree, _visible(context)))
        check_wire({VALUE: result}, unknown_types=True)
    except ExpressionError as error:
        raise ExpressionError(f"{error} (in {_shown(expression)})") from None
    except ContextError as error:
        raise ExpressionError(
            f"expected a result that a context can hold from {_shown(expression)}: {error}"
        ) from error
    except Exception as error:
        # The expression and the context come from outside: whatever the library raises over them is this error.
        raise ExpressionError(f"cannot evaluate {_shown(expression)}: {_reason(error)}") from error
    return result


@lru_cache(maxsize=4096)
def _compiled(expression: str) -> "Node":
    if len(expression) > EXPRESSION_CHARACTERS_MAX:
        raise ExpressionError(
            f"expected at most {EXPRESSION_CHARACTERS_MAX} characters in an expression, found {len(expression)}"
        )
    _check_nesting(expression)
    try:
        _check_literals(expression)
        tree = parser.Parser().parse(expression).parsed
    except RecursionError:
        raise _too_deep(expression) from None
    except ExpressionError:
        raise
    except exceptions.IncompleteExpressionError as error:
        raise _syntax(expression, len(expression), "more, found the end") from error
    except exceptions.LexerError as error:
        found = f"found {error.message[:1].lower()}{error.message[1:]}"
        raise _syntax(expression, error.lexer_position, "JMESPath", found) from error
    except exceptions.ParseError as error:
        raise _syntax(expression, error.lex_position, "JMESPath", _parse_problem(error)) from error
    except Exception as error:
        # See `search`: an empty expression, a warning made an error, a number of too many digits.
        raise ExpressionError(f"expected a JMESPath expression, found {_shown(expression)}: {error}") from error
    _check_tree(expression, tree)
    return tree


def _shown(expression: str) -> str:
    return repr(expression if len(expression) <= _SHOWN_CHARACTERS else f"{expression[:_SHOWN_CHARACTERS]}...")


def _parse_problem(error: exceptions.ParseError) -> str:
    # Only the end, and the errors without a token, have no text.
    return f"found {error.token_value!r}" if error.token_value else "found the end"


def _syntax(expression: str, position: int, expected: str, found: str = "") -> ExpressionError:
    problem = f"{expected}, {found}" if found else expected
    return ExpressionError(
        f"expected {problem} at column {position + 1} of {_shown(expression)}",
        position=position,
    )


def _too_deep(expression: str) -> ExpressionError:
    return ExpressionError(
        f"expected at most {EXPRESSION_DEPTH_MAX} operations inside each other in {_shown(expression)}, found more"
    )


def _check_nesting(expression: str) -> None:
    """Refuse what would meet Python's recursion limit sooner on one machine than on another."""
    depth = 0
    for character in expression:
        if character in "([{":
            depth += 1
            if depth > EXPRESSION_DEPTH_MAX:
                raise _too_deep(expression)
        elif character in ")]}":
            depth = max(depth - 1, 0)


def _check_literals(expression: str) -> None:
    """Refuse the old form `` `text` `` without quotes, which the library reads with a warning."""
    for quoted in _QUOTED.finditer(expression):
        text = quoted[0][1:-1].replace("\\`", "`")
        if quoted[0].startswith("`"):
            try:
                orjson.loads(text)
            except orjson.JSONDecodeError as error:
                expected = f"JSON between backticks, found {text[:100]!r}"
                raise _syntax(expression, quoted.start(), expected) from error


def _check_tree(expression: str, tree: "Node") -> None:
    todo = [(tree, 1)]
    while todo:
        node, depth = todo.pop()
        if depth > EXPRESSION_DEPTH_MAX:
            raise _too_deep(expression)
        if node["type"] == "function_expression":
            _check_function(expression, node)
        if node["type"] == "slice" and cast("list[object]", node["children"])[2] == 0:
            raise _syntax(expression, expression.find(":"), "a step other than 0 in a slice")
        todo += [(child, depth + 1) for child in _children(node)]


def _children(node: "Node") -> Iterator["Node"]:
    for child in cast("list[object]", node["children"]):
        # A slice has numbers as children.
        if isinstance(child, dict):
            yield cast("Node", child)


def _check_function(expression: str, node: "Node") -> None:
    name = str(node["value"])
    found = re.search(rf"\b{re.escape(name)}\s*\(", expression)
    position = found.start() if found else 0
    if name not in _TABLE:
        near = difflib.get_close_matches(name, list(_TABLE), n=1)
        suggestion = f"; did you mean '{near[0]}'?" if near else ""
        raise _syntax(expression, position, f"a function of JMESPath, found '{name}'{suggestion}")
    signature = _TABLE[name]["signature"]
    count, given = len(signature), len(node["children"])
    variadic = bool(signature and signature[-1].get("variadic"))
    if given < count or (given > count and not variadic):
        least = "at least " if variadic else ""
        raise _syntax(expression, position, f"{least}{count} argument(s) for {name}(), found {given}")


def _reason(error: Exception) -> str:
    if isinstance(error, exceptions.JMESPathTypeError):
        expected = " or ".join(error.expected_types)
        return f"{error.function_name}() expects {expected}, found {str(error.current_value)[:100]!r}"
    return f"{type(error).__name__}: {str(error)[:200]}"


class _Text(str):  # noqa: SLOT000 - the wire form is an attribute
    """A typed value seen as text."""

    wire: WireObject


class _Number(float):
    """A Decimal seen as a number."""

    wire: WireObject


class _Object(dict[str, object]):
    """A custom type's value that is an object."""

    wire: WireObject


class _List(list[object]):
    """A custom type's value that is a list."""

    wire: WireObject


_Typed = _Text | _Number | _Object | _List

# JMESPath's functions know their arguments by the names of their classes.
_Text.__name__, _Number.__name__, _Object.__name__, _List.__name__ = "str", "float", "dict", "list"


def _visible(wire: Wire) -> object:
    """Return the value as expressions see it: itself when nothing typed is inside."""
    if isinstance(wire, dict):
        if TYPE in wire:
            return _typed(wire)
        fields = {name: _visible(value) for name, value in wire.items()}
        return wire if all(map(_is, fields.values(), wire.values())) else fields
    if isinstance(wire, list):
        items = [_visible(value) for value in wire]
        return wire if all(map(_is, items, wire)) else items
    return wire


def _is(one: object, other: object) -> bool:
    return one is other


def _typed(wire: WireObject) -> object:
    value = wire.get(VALUE)
    seen: _Typed
    if wire[TYPE] == "decimal" and isinstance(value, str):
        seen = _Number(value)
    elif isinstance(value, str):
        seen = _Text(value)
    elif isinstance(value, dict):
        seen = _Object(cast("dict[str, object]", _visible(value)))
    elif isinstance(value, list):
        seen = _List(cast("list[object]", _visible(value)))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        seen = _Number(value)
    else:
        # Python allows no subclass of bool and None: these two are seen as they are, without their type.
        return value
    seen.wire = wire
    return seen


def _wire(result: object) -> Wire:
    """Return the result as a wire value, its typed values restored, however often the parts of it are shared."""
    left = CONTEXT_VALUES_MAX

    def restore(value: object, depth: int) -> Wire:
        nonlocal left
        left -= 1
        if left < 0 or depth > EXPRESSION_DEPTH_MAX:
            raise ExpressionError("expected a smaller result, found more values than a context can hold")
        if isinstance(value, _Typed):
            return value.wire
        if isinstance(value, list):
            return [restore(item, depth + 1) for item in value]
        if isinstance(value, dict):
            return {name: restore(item, depth + 1) for name, item in value.items()}
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        raise ExpressionError("expected a value as the result, found an expression reference (&)")

    return restore(result, 1)


class _Functions(functions.Functions):
    """JMESPath's functions, where Python's leniency would show: `to_number('1_0')`, `to_number('nan')`."""

    @functions.signature({"types": []})
    def _func_to_number(self, arg: object) -> int | float | None:
        if isinstance(arg, _Number):
            return float(arg)
        if isinstance(arg, (int, float)) and not isinstance(arg, bool):
            return arg
        found = _NUMBER.fullmatch(arg) if isinstance(arg, str) else None
        if found is None:
            return None
        if found[2] is None and found[3] is None and len(found[0]) <= _INTEGER_CHARACTERS:
            return int(found[0])
        number = float(found[0])
        return number if math.isfinite(number) else None

    @functions.signature({"types": []})
    def _func_to_string(self, arg: object) -> str:
        if isinstance(arg, _Number):
            return str(arg.wire[VALUE])
        return str(arg) if isinstance(arg, str) else orjson.dumps(_wire(arg)).decode()


def _applied(node: "Node", operands: list[object]) -> "Node":
    """Return the node with its operands evaluated, so that the library evaluates them no second time."""
    return {**node, "children": [{"type": "literal", "value": operand, "children": []} for operand in operands]}


class _Interpreter(visitor.TreeInterpreter):
    """JMESPath's own interpreter, counting steps."""

    def __init__(self) -> None:
        super().__init__(visitor.Options(custom_functions=_Functions()))
        self._left = EXPRESSION_STEPS_MAX

    def _charge(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise ExpressionError(f"expected at most {EXPRESSION_STEPS_MAX} steps of evaluation, found more")

    def visit(self, node: "Node", *args: object, **kwargs: object) -> object:
        self._charge(1)
        return super().visit(node, *args, **kwargs)

    def visit_flatten(self, node: "Node", value: object) -> object:
        base = self.visit(node["children"][0], value)
        if isinstance(base, list):
            self._charge(sum(len(item) if isinstance(item, list) else 1 for item in base))
        return super().visit_flatten(_applied(node, [base]), value)

    def visit_slice(self, node: "Node", value: object) -> object:
        self._charge(len(value) if isinstance(value, list) else 0)
        return super().visit_slice(node, value)

    def visit_comparator(self, node: "Node", value: object) -> object:
        operands = [self.visit(child, value) for child in node["children"]]
        for operand in operands:
            self._weigh(operand)
        return super().visit_comparator(_applied(node, operands), value)

    def visit_function_expression(self, node: "Node", value: object) -> object:
        arguments = [self.visit(child, value) for child in node["children"]]
        for argument in arguments:
            if node["value"] in {"to_string", "contains"}:
                self._weigh(argument)
            elif isinstance(argument, (list, dict)):
                self._charge(len(argument))
        if node["value"] == "join":
            self._charge_join(arguments)
        return super().visit_function_expression(_applied(node, arguments), value)

    def _charge_join(self, arguments: list[object]) -> None:
        separator, items = arguments  # two: `_check_function` has counted
        if isinstance(items, list) and isinstance(separator, str):
            characters = len(separator) * len(items) + sum(len(item) for item in items if isinstance(item, str))
            self._charge(characters // _CHARACTERS_PER_STEP)

    def _weigh(self, value: object) -> None:
        """Charge for a value that is going to be read as a whole, as often as its shared parts are read."""
        todo = [(value, 1)]
        while todo:
            part, depth = todo.pop()
            if isinstance(part, str):
                self._charge(len(part) // _CHARACTERS_PER_STEP)
            elif isinstance(part, (list, dict)):
                self._charge(len(part))
                if depth > 2 * EXPRESSION_DEPTH_MAX:
                    raise ExpressionError("expected a value of fewer containers inside each other, found more")
                todo += [(item, depth + 1) for item in (part.values() if isinstance(part, dict) else part)]
