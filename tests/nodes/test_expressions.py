import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.context.check import check_wire
from engine.context.values import Wire, WireObject
from engine.expressions import ExpressionError, check, search
from engine.limits import (
    CONTEXT_VALUES_MAX,
    EXPRESSION_CHARACTERS_MAX,
    EXPRESSION_DEPTH_MAX,
    EXPRESSION_STEPS_MAX,
)

DECIMAL: Wire = {"$type": "decimal", "value": "1.10"}
MOMENT: Wire = {"$type": "datetime", "value": "2026-03-01T09:30:00+01:00"}
COLOUR: Wire = {"$type": "colour", "value": "RED"}
MONEY: Wire = {"$type": "money", "value": {"amount": "5", "currency": "EUR"}}
CONTEXT: WireObject = {
    "d": DECIMAL,
    "m": MOMENT,
    "c": COLOUR,
    "money": MONEY,
    "n": 3,
    "t": "text",
    "flag": True,
    "list": [3, 1, 2],
    "prices": [DECIMAL, {"$type": "decimal", "value": "2"}],
    "o": {"x": {"y": None}},
}


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("n", 3),
        ("missing", None),
        ("o.x", {"y": None}),
        ("list[1:]", [1, 2]),
        ("sort(list)", [1, 2, 3]),
        ("list[?@ > `1`]", [3, 2]),
        ("n > `2` && flag", True),
        ("`1` == `true`", False),
        ("'2' == `2`", False),
        ("to_number('12')", 12),
        ("to_number('-1.5e1')", -15.0),
        ("to_number('1_0')", None),
        ("to_number('nan')", None),
        ("to_number('1e999')", None),
        ("to_string(list)", "[3,1,2]"),
        ("{a: n, b: t}", {"a": 3, "b": "text"}),
    ],
)
def test_plain_values_are_selected_and_computed(expression: str, result: Wire) -> None:
    found = search(expression, CONTEXT)
    assert found == result
    assert type(found) is type(result)


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("d", DECIMAL),
        ("m", MOMENT),
        ("c", COLOUR),
        ("money", MONEY),
        ("[m, {x: d}]", [MOMENT, {"x": DECIMAL}]),
        ("prices[?@ > `1.5`]", [{"$type": "decimal", "value": "2"}]),
        ("max(prices)", {"$type": "decimal", "value": "2"}),
        ("missing || d", DECIMAL),
        ("@", CONTEXT),
    ],
)
def test_a_value_that_is_selected_keeps_its_type(expression: str, result: Wire) -> None:
    assert search(expression, CONTEXT) == result


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("d > `1`", True),
        ("d == `1.1`", True),
        ("sum(prices)", 3.1),
        ("starts_with(m, '2026-03')", True),
        ("m < '2027'", True),
        ("c == 'RED'", True),
        ("contains(t, 'ex') && type(m) == 'string' && type(d) == 'number'", True),
        ("to_string(d)", "1.10"),
        ("to_string(m)", "2026-03-01T09:30:00+01:00"),
        ("to_number(d)", 1.1),
        ("join('/', [c, t])", "RED/text"),
        ("money.currency", "EUR"),
        ("keys(money)", ["amount", "currency"]),
        ("length(c)", 3),
    ],
)
def test_what_is_computed_from_a_typed_value_is_plain(expression: str, result: Wire) -> None:
    found = search(expression, CONTEXT)
    assert found == result
    assert type(found) is type(result)


@pytest.mark.parametrize(
    ("expression", "position", "problem"),
    [
        ("a ||| b", 4, "found '|' at column 5"),
        ("a[", 2, "found the end at column 3"),
        ("a.", 2, "found the end at column 3"),
        ("a b", 2, "found 'b' at column 3"),
        ("a = b", 2, "found unknown token '=' at column 3"),
        ('"a', 0, "found unclosed"),
        ("x && lenght(a)", 5, "did you mean 'length'? at column 6"),
        ("abs(a, b)", 0, "expected 1 argument(s) for abs(), found 2"),
        ("not_null()", 0, "expected at least 1 argument(s)"),
        ("`text`", 0, "expected JSON between backticks, found 'text'"),
        ("a == `{`", 5, "at column 6"),
        ("l[::0]", 2, "a step other than 0"),
        ("", None, "cannot be empty"),
    ],
)
def test_what_is_no_jmespath_is_refused_with_its_column(expression: str, position: int | None, problem: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        check(expression)
    assert problem in str(caught.value)
    assert caught.value.position == position
    with pytest.raises(ExpressionError):
        search(expression, CONTEXT)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("abs(t)", "abs() expects number, found 'text'"),
        ("n < t", "TypeError"),
        ("&n", "expression reference"),
        ("sum(`[9223372036854775807, 1]`)", "64 bits"),
        ("sum(`[1e308, 1e308]`)", "finite"),
        ("ceil(`1e308`)", "64 bits"),
        ("{\"$type\": 'datetime', value: t}", "not a datetime"),
        ("{\"$type\": 'datetime'}", "form"),
    ],
)
def test_what_cannot_be_evaluated_or_held_is_refused(expression: str, problem: str) -> None:
    check(expression)
    with pytest.raises(ExpressionError) as caught:
        search(expression, CONTEXT)
    assert problem in str(caught.value).replace("fields", "form")


def test_an_expression_can_make_a_typed_value() -> None:
    assert search("{\"$type\": 'date', value: '2026-03-01'}", {}) == {"$type": "date", "value": "2026-03-01"}


def test_the_length_of_an_expression_is_limited() -> None:
    assert search("t" + " " * (EXPRESSION_CHARACTERS_MAX - 1), CONTEXT) == "text"
    with pytest.raises(ExpressionError, match=f"at most {EXPRESSION_CHARACTERS_MAX} characters"):
        check("t" + " " * EXPRESSION_CHARACTERS_MAX)


@pytest.mark.parametrize("make", ["({})", "[{}]", "!{}", "abs({})", "{}||a", "{}|a", "{{x: {}}}"])
def test_the_depth_of_an_expression_is_limited_alike_everywhere(make: str) -> None:
    allowed = too_deep = "a"
    for _ in range(EXPRESSION_DEPTH_MAX // 2 - 1):
        allowed = make.format(allowed)
    check(allowed)
    while len(make.format(too_deep)) <= EXPRESSION_CHARACTERS_MAX:
        too_deep = make.format(too_deep)
    with pytest.raises(ExpressionError, match=f"at most {EXPRESSION_DEPTH_MAX} operations"):
        check(too_deep)


WIDE: WireObject = {"l": list(range(CONTEXT_VALUES_MAX - 10)), "s": "x" * 250_000, "p": [[1] * 300] * 300}


@pytest.mark.parametrize(
    "expression",
    [
        "|".join(["[@,@][]"] * 90),
        "|".join(["[@,@]"] * 90),
        "to_string(" + "|".join(["[@,@]"] * 80) + ")",
        "(" + "|".join(["[@,@]"] * 40) + ") == (" + "|".join(["[@,@]"] * 40) + ")",
        "[" + ",".join(["l"] * 600) + "][]",
        "[" + ",".join(["l"] * 600) + "][][]|[::1]",
        "[" + ",".join(["l"] * 600) + "][*][::1]",
        "l[?contains(`[1,2,3,4,5,6,7,8,9,10,11,12]`, @)]",
        "join(s, [" + ",".join(["s"] * 400) + "])|join(@, ['a','b'])|[join(@,['','']),join(@,['',''])]|join('',@)"
        + "|join('',[@,@])" * 60,
        "p|[@,@]|[][]|[@,@,@,@,@,@,@,@,@,@,@,@][][]",
    ],
    ids=lambda expression: expression[:30],
)  # fmt: skip
def test_a_bomb_is_refused_in_bounded_time(expression: str) -> None:
    begin = time.process_time()
    with pytest.raises(ExpressionError):
        search(expression, WIDE)
    assert time.process_time() - begin < 60, EXPRESSION_STEPS_MAX


def test_a_large_context_can_be_filtered() -> None:
    assert len(search("l[?@ < `10`]", {"l": list(range(50_000))})) == 10  # type: ignore[arg-type]


def test_the_context_is_left_as_it_is_and_the_result_can_be_kept() -> None:
    before = str(CONTEXT)
    for expression in ("@", "merge(o, {a: d})", "sort(list)", "[list, list][]", "reverse(list)"):
        search(expression, CONTEXT)
        assert search(expression, CONTEXT) == search(expression, CONTEXT)
    assert str(CONTEXT) == before


pieces = st.sampled_from(
    [*"nmdct@*&!|.,:()[]{}`'\"<>= 0", "list", "prices", "money", "o.x", "[*]", "[]", "[?", "||", "&&", "==", "`1`",
     "'a'",
     "sort_by(", "max_by(", "map(&", "to_string(", "to_number(", "length(", "keys(", "contains(", "[::-1]", "{a:"],
)  # fmt: skip


@given(st.lists(pieces, max_size=12).map("".join))
@example("map(&@, &a)")
@example("sort_by(list, &list)")
@example("max_by(prices, &@)")
@example("*.*")
@example("[?`\ud800`]")
@example('`"\\ud800"`')
def test_any_text_gives_a_legal_value_or_our_error(expression: str) -> None:
    try:
        result = search(expression, CONTEXT)
    except ExpressionError:
        return
    check_wire({"value": result}, unknown_types=True)
    assert search(expression, CONTEXT) == result
