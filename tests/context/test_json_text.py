import pytest

from engine.context import (
    ContextDepthError,
    ContextError,
    ContextFormError,
    ContextIntegerError,
    ContextJSONError,
    ContextNameError,
    ContextObject,
    ContextUnregisteredError,
)


@pytest.mark.parametrize("text", [None, "", b"", "{}", b" {} \n"])
def test_no_text_and_an_empty_object_are_an_empty_context(text: str | bytes | None) -> None:
    assert len(ContextObject.deserialize(text)) == 0


def test_a_text_of_another_writer_is_read_as_json_says() -> None:
    context = ContextObject.deserialize(b'{ "first-name" : "\\u00e9", "n": 1, "x": 1.0, "e": 1E2, "a": [true, null] }')
    assert context.to_wire() == {"first-name": "é", "n": 1, "x": 1.0, "e": 100.0, "a": [True, None]}
    assert context.serialize() == '{"first-name":"é","n":1,"x":1.0,"e":100.0,"a":[true,null]}'


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("{", 1, 2), ('{"a": 1,\n "b": }', 2, 7),
        ("{'a': 1}", 1, 2), ('{"a": NaN}', 1, 7), ('{"a": 01}', 1, 7), (" ", 1, 1),
        ('{"a": "\\ud800"}', 1, 8), ("[1]", 1, 1), ("null", 1, 1), ('"x"', 1, 1), ("\ufeff{}", 1, 1),
    ],
)  # fmt: skip
def test_what_is_no_json_object_is_refused_with_line_and_column(text: str, line: int, column: int) -> None:
    with pytest.raises(ContextJSONError, match="expected a") as caught:
        ContextObject.deserialize(text)
    assert (caught.value.line, caught.value.column) == (line, column)


@pytest.mark.parametrize("text", [b'{"a": "\xff"}', b"\x80", "{\ud800"])
def test_bytes_that_are_no_utf8_are_refused(text: str | bytes) -> None:
    with pytest.raises(ContextJSONError):
        ContextObject.deserialize(text)


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ('{"a":1,"a":1}', 1, 8),
        ('{"x": [{"a": 1, "b": 2,\n   "a": 3}]}', 2, 4),
        ('{"a":1,"\\u0061":2}', 1, 8),
        ('{"é{\\"": ":",\r\n "x": {"a": 1}, "y": [{"a": "a"}, {}], "a": 1,\n\n"a": 1}'.encode(), 4, 1),
    ],
)
def test_a_name_that_stands_twice_is_refused_with_line_and_column(text: str | bytes, line: int, column: int) -> None:
    expected = (
        f"each name once in an object of the context, but found 'a' twice, again at line {line}, column {column}."
    )
    with pytest.raises(ContextJSONError, match=expected) as caught:
        ContextObject.deserialize(text)
    assert (caught.value.line, caught.value.column) == (line, column)


@pytest.mark.parametrize(
    "digits",
    [
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775809",
        "1" * 30,
        "9" * 300,
    ],
)
def test_an_integer_beyond_64_bits_is_refused_and_not_rounded(digits: str) -> None:
    with pytest.raises(ContextIntegerError, match="signed 64 bits"):
        ContextObject.deserialize(f'{{"a": {digits}}}')


@pytest.mark.parametrize("digits", ["9223372036854775807", "-9223372036854775808"])
def test_the_largest_integers_are_read(digits: str) -> None:
    assert ContextObject.deserialize(f'{{"a": {digits}}}').get("a", int) == int(digits)


@pytest.mark.parametrize("number", ["1e400", "9" * 400, "9" * 5_000])
def test_a_number_too_large_for_a_float_is_refused(number: str) -> None:
    with pytest.raises(ContextError, match="infinity"):
        ContextObject.deserialize(f'{{"a": {number}}}')


@pytest.mark.parametrize("levels", [65, 500, 5_000, 200_000])
def test_a_text_of_many_levels_is_refused(levels: int) -> None:
    with pytest.raises((ContextDepthError, ContextJSONError)):
        ContextObject.deserialize('{"a":' + "[" * levels + "]" * levels + "}")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('{"a": {"$type": "mine", "value": 1}}', ContextUnregisteredError),
        ('{"a": {"$type": "date", "value": 1}}', ContextFormError),
        ('{"$type": "date", "value": "2026-03-01"}', ContextFormError),
        ('{"a": {"$type": "date", "value": "2026-03-01", "x": 1}}', ContextFormError),
    ],
)
def test_a_typed_value_is_checked_when_the_text_is_read(text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        ContextObject.deserialize(text)


def test_a_name_of_a_text_is_not_a_path() -> None:
    assert ContextObject.deserialize('{"a.b": 1, "": 2, "[0]": 3}').to_wire() == {"a.b": 1, "": 2, "[0]": 3}
    with pytest.raises(ContextNameError):
        ContextObject.deserialize('{"a": 1}').set("a.$type", 1)
