"""An excerpt: the first characters of a value's text, without making the whole of it. Pure."""

from collections.abc import Iterator


def excerpt(value: object, characters: int) -> str:
    """Return the first characters of `str(value)`, reading no more of it than they need.

    A value whose parts are shared may have a text that no memory holds. What is no JSON is described, because its text
    could be another one in each process.

    Args:
        value: JSON, perhaps with subclasses of its types in it.
        characters: How many at most.
    """
    if isinstance(value, str):
        return value[:characters]
    taken = ""
    for piece in _pieces(value):
        taken += piece[:characters]
        if len(taken) >= characters:
            break
    return taken[:characters]


def _pieces(value: object) -> Iterator[str]:
    """Yield the text in pieces, at least a character before anything is looked into."""
    if isinstance(value, list):
        yield "["
        for index, item in enumerate(value):
            if index:
                yield ", "
            yield from _pieces(item)
        yield "]"
    elif isinstance(value, dict):
        yield "{"
        for index, (name, item) in enumerate(value.items()):
            yield f", {name!r}: " if index else f"{name!r}: "
            yield from _pieces(item)
        yield "}"
    elif value is None or isinstance(value, (bool, int, float, str)):
        yield repr(value)
    else:
        yield "an expression reference (&)"
