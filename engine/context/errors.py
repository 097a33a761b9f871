"""What a context refuses, each by its own class and code."""

from engine.errors import ContextError


class ContextPathError(ContextError):
    """The text is no path."""

    code = "context_path"


class ContextMissingError(ContextError, LookupError):
    """Nothing stands at the path."""

    code = "context_missing"


class ContextKeyError(ContextMissingError, KeyError):
    """The object has no such name."""

    def __str__(self) -> str:
        """Return the message as it is; KeyError would put quotation marks around it."""
        return str(self.args[0])


class ContextIndexError(ContextMissingError, IndexError):
    """The list has no such index."""


class ContextTypeError(ContextError, TypeError):
    """The value is of another type than the one asked for."""

    code = "context_type"


class ContextContainerError(ContextTypeError):
    """Something on the way of a path is not the object or list that the path needs."""

    code = "context_container"


class ContextValueError(ContextError, ValueError):
    """A context cannot hold the value; the subclasses say why."""

    code = "context_value"


class ContextUnregisteredError(ContextValueError):
    """The value's type is neither built in nor registered."""

    code = "context_unregistered"


class ContextConverterError(ContextValueError):
    """A registered converter raised, or gave something that is not plain JSON or not its own type."""

    code = "context_converter"


class ContextFloatError(ContextValueError):
    """NaN and infinity have no JSON form."""

    code = "context_float"


class ContextIntegerError(ContextValueError):
    """The integer does not fit signed 64 bits."""

    code = "context_integer"


class ContextTextError(ContextValueError):
    """The text holds a lone surrogate, so it has no UTF-8 form."""

    code = "context_text"


class ContextTimeError(ContextValueError):
    """The time's zone has no offset of its own, so it has no exact text."""

    code = "context_time"


class ContextNameError(ContextValueError):
    """A name in an object is no text, or is `$type`."""

    code = "context_name"


class ContextDepthError(ContextValueError):
    """Too many containers inside each other."""

    code = "context_depth"


class ContextCountError(ContextValueError):
    """Too many values."""

    code = "context_count"


class ContextSizeError(ContextValueError):
    """Too many bytes."""

    code = "context_size"


class ContextFormError(ContextError, ValueError):
    """A wire value that says `$type` is not of the form that its type has."""

    code = "context_form"


class ContextJSONError(ContextError, ValueError):
    """The text is not the JSON of a context.

    Attributes:
        line: The line of the place, from 1; 0 when the place is not known.
        column: The column of the place, from 1; 0 when the place is not known.
    """

    code = "context_json"
    line: int
    column: int

    def __init__(self, message: str, *, line: int = 0, column: int = 0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.line = line
        self.column = column


class ContextChangeError(ContextError):
    """A change does not fit the context it is applied to."""

    code = "context_change"
