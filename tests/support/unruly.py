"""Exceptions of user code that cannot be asked for what they say, each with the name and the text of its failure."""

from typing import NamedTuple


class Unruly(NamedTuple):
    """One of them.

    Attributes:
        error: The exception.
        type: What its failure is called.
        message: What its failure says.
    """

    error: BaseException
    type: str
    message: str


class Long(str):
    """A text that does not tell how long it is."""

    __slots__ = ()

    def __len__(self) -> int:
        raise ValueError("len")


class OddError(Exception):
    """Says what it is given, or raises it."""

    def __init__(self, said: object) -> None:
        super().__init__()
        self.said = said

    def __str__(self) -> str:
        if isinstance(self.said, BaseException):
            raise self.said
        return self.said  # type: ignore[return-value]  # that is what is odd


class OddStopError(OddError, StopIteration):
    """The same, of a kind that no future can carry."""


class Nameless(type):
    def __getattribute__(cls, name: str) -> object:
        if name in {"__name__", "__qualname__", "__module__"}:
            raise AttributeError(name)
        return super().__getattribute__(name)


class NoNameError(Exception, metaclass=Nameless):
    pass


class ClasslessError(Exception):
    @property  # type: ignore[misc]  # that is what is odd
    def __class__(self) -> type:
        raise SystemExit(3)


def _noted(notes: object) -> BaseException:
    error = ValueError("noted")
    error.__notes__ = notes  # type: ignore[assignment]  # that is what is odd
    return error


def _caused(cause: BaseException) -> BaseException:
    error = ValueError("caused")
    error.__cause__ = cause
    return error


def unruly() -> list[Unruly]:
    """Return new ones."""
    return [
        Unruly(SyntaxError("bad", ("f.py", 3, "abc", "text")), "SyntaxError", "bad (f.py, line 3)"),  # type: ignore[arg-type]  # the same
        Unruly(OddError(Long("abc")), "OddError", "abc"),
        Unruly(OddError(5), "OddError", "OddError without a text"),
        Unruly(OddError(None), "OddError", "OddError without a text"),
        Unruly(OddError(RuntimeError("no")), "OddError", "OddError without a text"),
        Unruly(OddError(SystemExit(3)), "OddError", "OddError without a text"),
        Unruly(OddError(GeneratorExit()), "OddError", "OddError without a text"),
        Unruly(NoNameError("text"), "NoNameError", "text"),
        Unruly(ClasslessError("text"), "ClasslessError", "text"),
        Unruly(_noted(5), "ValueError", "noted"),
        Unruly(_noted([OddError(SystemExit(3)), "a note"]), "ValueError", "noted"),
        Unruly(_caused(OddError(SystemExit(3))), "ValueError", "caused"),
        Unruly(BaseExceptionGroup("group", [OddError(SystemExit(3))]), "ExceptionGroup", "group (1 sub-exception)"),
        Unruly(type("E", (Exception,), {"__module__": None})("x"), "E", "x"),
        Unruly(ValueError("\ud800"), "ValueError", "\\ud800"),
    ]
