"""JMESPath over contexts: pure, and with a bound on the work that one evaluation does.

What is selected unchanged keeps its type; what a function computes from it is plain JSON (`engine.sight`). Texts of
datetimes compare as texts, so compare only such of one offset.

The language cannot loop, but it can multiply: `[@, @][]` doubles a list, and a filter that calls `contains` is
quadratic. So steps are counted, and a node whose expressions need more than EXPRESSION_STEPS_MAX is refused.
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
from engine.context.excerpt import excerpt
from engine.context.values import VALUE, Wire, WireObject
from engine.errors import ContextError, RunlineError
from engine.limits import EXPRESSION_CHARACTERS_MAX, EXPRESSION_DEPTH_MAX, EXPRESSION_TEXT_CHARACTERS_MAX
from engine.meter import Meter, StepsError
from engine.sight import Number, Sight, UnholdableError

if TYPE_CHECKING:
    from jmespath.visitor import _TreeNode as Node

_Reference = visitor._Expression  # noqa: SLF001 - what `&` gives has no public name

_SHOWN_CHARACTERS: Final = 200
_FOUND_CHARACTERS: Final = 100
_INTEGER_CHARACTERS: Final = 20
_QUOTED: Final = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`""", re.DOTALL)
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_TABLE: Final = functions.Functions.FUNCTION_TABLE
_EQUALITIES: Final = frozenset({"eq", "ne"})
_MAKING_TEXTS: Final = frozenset({"join", "reverse", "to_string"})
_READING_ALL: Final = frozenset({"contains", "to_string"})
_READING_NONE: Final = frozenset({"length", "not_null", "to_array", "type"})
_READING_ITEMS: Final = frozenset({"max", "min", "sort"})
_BY_KEY: Final = frozenset({"max_by", "min_by", "sort_by"})
_SHORT_TEXT_CHARACTERS: Final = 2_500
_SHORT_SOUGHT_CHARACTERS: Final = 100
"""Up to these Python searches a text the simple way, which may be quadratic."""
_COMPARED_PER_STEP: Final = 4_096


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
    """Return what one expression selects from one context; see `Evaluator.search`.

    Raises:
        ExpressionError: See there.
    """
    return Evaluator(Meter()).search(expression, context)


class Evaluator:
    """Evaluates the expressions of one node, which share what they may cost.

    Args:
        meter: Is charged for the steps; the expressions that come when none are left are refused.
    """

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._sight = Sight(meter)

    def search(self, expression: str, context: WireObject) -> Wire:
        """Return what the expression selects from the context; None where it selects nothing.

        Args:
            expression: JMESPath, at most 2,000 characters.
            context: A valid wire object; is left as it is, and the result may share parts of it.

        Raises:
            ExpressionError: It is no JMESPath, does not fit the context's values, needs too many steps, or its result
                is no value that a context can hold.
        """
        tree = _compiled(expression)
        try:
            found = _Interpreter(self._meter, self._sight).visit(tree, self._sight.see(context))
            result = self._sight.restore(found)
            check_wire({VALUE: result}, unknown_types=True)
        except (ExpressionError, UnholdableError, StepsError) as error:
            problem = f"{error} (in {_shown(expression)})"
        except ContextError as error:
            problem = f"expected a result that a context can hold from {_shown(expression)}: {error}"
        except Exception as error:  # noqa: BLE001 - see below
            # The expression and the context come from outside: whatever the library raises over them is this error.
            problem = f"cannot evaluate {_shown(expression)}: {_reason(error)}"
        else:
            return result
        # Raised out here because the library's errors hold the values they are about, and print the whole of them:
        # whoever shows this error with its causes would wait for that.
        raise ExpressionError(problem)


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
        return f"{error.function_name}() expects {expected}, found {excerpt(error.current_value, _FOUND_CHARACTERS)!r}"
    return f"{type(error).__name__}: {str(error)[:200]}"


class _Functions(functions.Functions):
    """JMESPath's functions, where Python's leniency would show: `to_number('1_0')`, `to_number('nan')`.

    Args:
        sight: Restores what a text is made of.
    """

    def __init__(self, sight: Sight) -> None:
        self._sight = sight

    @functions.signature({"types": []})
    def _func_to_number(self, arg: object) -> int | float | None:
        if isinstance(arg, Number):
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
        if isinstance(arg, Number):
            return str(arg.wire[VALUE])
        return str(arg) if isinstance(arg, str) else orjson.dumps(self._sight.restore(arg)).decode()


class _Key:
    """The expression by which a function compares items: what it gives is charged for as often as it is compared."""

    def __init__(self, reference: "_Reference", meter: Meter, times: int) -> None:
        self.expression = reference.expression
        self._reference = reference
        self._meter = meter
        self._times = times

    def visit(self, node: "Node", value: object) -> object:
        key = self._reference.visit(node, value)
        if isinstance(key, str):
            self._meter.read(len(key) * self._times)
        return key


_Key.__name__ = "_Expression"  # see `engine.sight`: arguments are known by the names of their classes


class _Interpreter(visitor.TreeInterpreter):
    """JMESPath's own interpreter, counting steps."""

    def __init__(self, meter: Meter, sight: Sight) -> None:
        super().__init__()
        self._meter = meter
        self._callable = _Functions(sight)
        self._characters = EXPRESSION_TEXT_CHARACTERS_MAX

    def visit(self, node: "Node", *args: object, **kwargs: object) -> object:
        meter = self._meter
        meter.left -= 1
        if meter.left < 0:
            meter.refuse()
        return super().visit(node, *args, **kwargs)

    def visit_flatten(self, node: "Node", value: object) -> list[object] | None:
        base = self.visit(node["children"][0], value)
        if not isinstance(base, list):
            return None
        self._meter.charge(sum(len(item) if isinstance(item, list) else 1 for item in base))
        merged: list[object] = []
        for item in base:
            if isinstance(item, list):
                merged += item
            else:
                merged.append(item)
        return merged

    def visit_slice(self, node: "Node", value: object) -> object:
        self._meter.charge(len(value) if isinstance(value, list) else 0)
        return super().visit_slice(node, value)

    def visit_comparator(self, node: "Node", value: object) -> object:
        left, right = (self.visit(child, value) for child in node["children"])
        self._weigh(left)
        self._weigh(right)
        operator = node["value"]
        if operator not in _EQUALITIES and not (_is_ordered(left) and _is_ordered(right)):
            return None
        return self.COMPARATOR_FUNC[operator](left, right)

    def visit_function_expression(self, node: "Node", value: object) -> object:
        name = str(node["value"])
        arguments = [self.visit(child, value) for child in node["children"]]
        for argument in arguments:
            self._charge_argument(name, argument)
        if name == "join":
            self._charge_join(arguments)
        elif name == "contains":
            self._charge_contains(arguments)
        elif name in _BY_KEY:
            self._charge_keys(name, arguments)
        result = self._callable.call_function(name, arguments)
        if isinstance(result, str) and name in _MAKING_TEXTS:
            self._make(len(result))
        return result

    def _charge_argument(self, name: str, argument: object) -> None:
        if isinstance(argument, str):
            self._meter.read(len(argument))
        elif name in _READING_ALL:
            self._weigh(argument)
        elif isinstance(argument, (list, dict)) and name not in _READING_NONE:
            self._meter.charge(len(argument))
            if name in _READING_ITEMS:
                times = len(argument).bit_length() if name == "sort" else 1
                for item in argument:
                    if isinstance(item, str):
                        self._meter.read(len(item) * times)

    def _charge_join(self, arguments: list[object]) -> None:
        separator, items = arguments  # two: `_check_function` has counted
        if isinstance(items, list) and isinstance(separator, str):
            characters = len(separator) * len(items) + sum(len(item) for item in items if isinstance(item, str))
            self._meter.read(characters)
            if characters > self._characters:
                self._make(characters)

    def _charge_contains(self, arguments: list[object]) -> None:
        """Charge for a search that compares nearly all of what is sought at nearly every place of a short text."""
        text, sought = arguments
        if isinstance(text, str) and isinstance(sought, str):
            at_once = len(sought) if len(text) < _SHORT_TEXT_CHARACTERS else min(len(sought), _SHORT_SOUGHT_CHARACTERS)
            self._meter.charge(len(text) * at_once // _COMPARED_PER_STEP)

    def _charge_keys(self, name: str, arguments: list[object]) -> None:
        items, reference = arguments
        if isinstance(items, list) and isinstance(reference, _Reference):
            arguments[1] = _Key(reference, self._meter, len(items).bit_length() if name == "sort_by" else 1)

    def _make(self, characters: int) -> None:
        """Count the characters of a text that is made."""
        self._meter.read(characters)
        self._characters -= characters
        if self._characters < 0:
            raise ExpressionError(
                f"expected at most {EXPRESSION_TEXT_CHARACTERS_MAX} characters in all texts that are made, found more"
            )

    def _weigh(self, value: object) -> None:
        """Charge for a value that is going to be read as a whole, as often as its shared parts are read."""
        if value is None or isinstance(value, (int, float)):
            return
        todo = [(value, 1)]
        while todo:
            part, depth = todo.pop()
            if isinstance(part, str):
                self._meter.read(len(part))
            elif isinstance(part, (list, dict)):
                self._meter.charge(len(part))
                if depth > 2 * EXPRESSION_DEPTH_MAX:
                    raise ExpressionError("expected a value of fewer containers inside each other, found more")
                if isinstance(part, dict):
                    self._meter.read(sum(map(len, part)))
                todo += [(item, depth + 1) for item in (part.values() if isinstance(part, dict) else part)]


def _is_ordered(value: object) -> bool:
    return isinstance(value, (int, float, str)) and not isinstance(value, bool)
