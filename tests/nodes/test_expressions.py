import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.context.check import check_wire
from engine.context.values import Wire, WireObject
from engine.expressions import Evaluator, ExpressionError, check, search
from engine.limits import (
    CONTEXT_VALUES_MAX,
    EXPRESSION_CHARACTERS_MAX,
    EXPRESSION_DEPTH_MAX,
    EXPRESSION_TEXT_CHARACTERS_MAX,
)
from engine.meter import Meter

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


WIDE: WireObject = {
    "l": list(range(CONTEXT_VALUES_MAX - 10)),
    "s": "x" * 250_000,
    "p": [[1] * 300] * 300,
    "m": {"$type": "note", "value": ["x" * 100_000]},
    "n": "a" * 2_499,
}


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
        "|".join(["[@,@]"] * 60) + "|abs(@)",
        "[s,s]|" + "[@,@][]|" * 13 + "length(map(&reverse(@),@))",
        "[s,s]|" + "[@,@][]|" * 13 + "length(map(&to_string([@]),@))",
        "[s,s]|" + "[@,@][]|" * 13 + "length(map(&join('x',[@,@]),@))",
        "[s,s]|" + "[@,@][]|" * 13 + "[?starts_with(@,@)]",
        "[s,s]|" + "[@,@][]|" * 8 + "sort(@)",
        "[s,s]|" + "[@,@][]|" * 8 + "sort_by(@,&@)",
        "[s,s]|" + "[@,@][]|" * 12 + "max_by(@,&@)",
        "[s,s]|" + "[@,@][]|" * 13 + "@",
        "[m,m]|" + "[@,@][]|" * 13 + "@",
        "[{" + "k" * 1_000 + ":`1`}]|" + "[@,@][]|" * 13 + "length(to_string(@))",
        "[n]|" + "[@,@][]|" * 12 + "[?contains(@,'" + "a" * 700 + "b" + "a" * 500 + "')]",
    ],
    ids=lambda expression: expression[-40:],
)  # fmt: skip
def test_a_bomb_is_refused_in_few_steps_and_bytes(expression: str) -> None:
    meter = Meter()
    tracemalloc.start()
    try:
        with pytest.raises(ExpressionError) as caught:
            Evaluator(meter).search(expression, WIDE)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(str(caught.value)) < 1_000
    assert caught.value.__cause__ is caught.value.__context__ is None
    # The text of a part may be read, or made, when the last step is taken; no more than that.
    assert meter.left >= -len(WIDE["l"]) * 700  # type: ignore[arg-type]
    assert peak < 64 * 1024 * 1024


def test_a_text_of_many_characters_is_charged_for_by_what_reads_it() -> None:
    def steps(expression: str) -> int:
        meter = Meter()
        Evaluator(meter).search(expression, WIDE)
        return meter.steps

    thousand = 250_000 // 256 - 1
    least = steps("l[0]")
    assert steps("length(s)") - least >= thousand
    assert steps("length(reverse(s))") - least >= 3 * thousand
    assert steps("length(join('', [s, s]))") - least >= 4 * thousand
    assert steps("s == s") - least >= 2 * thousand
    assert steps("sort([s, s]) == [s, s]") - least >= 4 * thousand
    # Many short texts cost what one long text does.
    made = "l[:9000].to_string(@)"
    assert steps(f"{made}|length(join('', @))") - steps(f"{made}|length(@)") > 9_000 * 3 // 256


def test_the_texts_that_one_evaluation_makes_are_limited() -> None:
    text: WireObject = {"s": "x" * (EXPRESSION_TEXT_CHARACTERS_MAX // 64)}
    assert search(f"length([{','.join(['reverse(s)'] * 64)}])", text) == 64
    assert search("[reverse(s), reverse(s)]|length(@)", text) == 2  # each evaluation begins anew
    with pytest.raises(ExpressionError, match=f"at most {EXPRESSION_TEXT_CHARACTERS_MAX} characters in all texts"):
        search(f"length([{','.join(['reverse(s)'] * 65)}])", text)


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("abs(o)", "\"{'x': {'y': None}}\""),
        ("abs(list)", "'[3, 1, 2]'"),
        ("abs(prices)", "'[1.1, 2.0]'"),
        ("abs([m, c, `true`])", "\"['2026-03-01T09:30:00+01:00', 'RED', True]\""),
        ("abs(&n)", "'an expression reference (&)'"),
        ("abs(`{}`)", "'{}'"),
    ],
)
def test_an_error_shows_the_beginning_of_the_value_it_is_about(expression: str, found: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        search(expression, CONTEXT)
    assert str(caught.value).endswith(f"abs() expects number, found {found}")


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
