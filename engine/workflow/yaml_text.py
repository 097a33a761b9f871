"""YAML as definitions use it: the JSON part of YAML 1.2, read from events, so that no input can go deep or wide.

Anchors, aliases, tags and several documents are refused. Plain words are texts but for `null`, `true`, `false` and
numbers: `yes`, `on` and dates stay texts. Keys are always texts.
"""

import re
from typing import Final, NamedTuple, Protocol

import yaml

from engine.errors import DefinitionError
from engine.limits import DEFINITION_DEPTH_MAX

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WORDS: Final[dict[str, object]] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None, "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,400}")
_OCTAL: Final = re.compile(r"0o[0-7]{1,400}")
_HEXADECIMAL: Final = re.compile(r"0x[0-9a-fA-F]{1,400}")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def read(text: str, source: str) -> object:
    """Return the data of a YAML text.

    Args:
        text: The document.
        source: Its name, for errors.

    Raises:
        DefinitionError: It is not the YAML described above; the text names source, line and column.
    """
    reader = _Reader(source)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            reader.take(event)
    except yaml.MarkedYAMLError as error:
        problem = " ".join(filter(None, (error.context, error.problem)))
        raise _error(source, error.problem_mark or error.context_mark, f"expected YAML, found: {problem}") from error
    except yaml.reader.ReaderError as error:
        # Its position counts bytes or characters, depending on the parser.
        position = text.find(chr(error.character))
        mark = _Place(text.count("\n", 0, position), position - text.rfind("\n", 0, position) - 1)
        problem = f"expected YAML, found: {error.reason}: {chr(error.character)!a}"
        raise _error(source, mark, problem) from error
    except yaml.YAMLError as error:
        raise DefinitionError(f"{source}: expected YAML, found: {error}") from error
    return reader.root


_Valued = yaml.ScalarEvent | yaml.CollectionStartEvent


class _Place(NamedTuple):
    """A place in the text, counted from 0."""

    line: int
    column: int


class _Mark(Protocol):
    """The same, of either of the library's parsers."""

    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


class _Container:
    """A list or an object that is being read, with the key whose value comes next."""

    def __init__(self, data: "list[object] | dict[str, object]") -> None:
        self.data = data
        self.key: str | None = None


class _Reader:
    """Builds data from the parser's events."""

    def __init__(self, source: str) -> None:
        self.root: object = None
        self._source = source
        self._documents = 0
        self._open: list[_Container] = []

    def take(self, event: yaml.Event) -> None:
        match event:
            case yaml.AliasEvent():
                raise self._refused(event, f"the alias *{event.anchor}", "Write the value out where it is used.")
            case yaml.ScalarEvent():
                self._refuse_extras(event)
                self._scalar(event)
            case yaml.SequenceStartEvent():
                self._refuse_extras(event)
                self._begin(event, [])
            case yaml.MappingStartEvent():
                self._refuse_extras(event)
                self._begin(event, {})
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                self._open.pop()
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise self._refused(event, "a second one", "Keep one workflow in one file.")
            case _:
                pass

    def _refused(self, event: yaml.Event, found: str, hint: str) -> DefinitionError:
        expected = "one document of plain YAML without anchors, aliases and tags"
        return _error(self._source, event.start_mark, f"expected {expected}, found {found}", hint)

    def _refuse_extras(self, event: "_Valued") -> None:
        if event.anchor is not None:
            raise self._refused(event, f"the anchor &{event.anchor}", "Write the value out where it is used.")
        if event.tag is not None:
            raise self._refused(event, f"the tag {event.tag}", "Put texts into quotation marks instead.")

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        container = self._open[-1] if self._open else None
        if container is not None and isinstance(container.data, dict) and container.key is None:
            if event.value in container.data:
                raise _error(
                    self._source, event.start_mark, f"expected each key once, found '{event.value}' a second time"
                )
            container.key = event.value
            container.data[event.value] = None
        else:
            self._put(event.value if event.style else _plain(event.value))

    def _begin(self, event: yaml.Event, data: "list[object] | dict[str, object]") -> None:
        container = self._open[-1] if self._open else None
        if container is not None and isinstance(container.data, dict) and container.key is None:
            raise _error(self._source, event.start_mark, "expected a text as key, found a list or an object")
        if len(self._open) == DEFINITION_DEPTH_MAX:
            expected = f"expected at most {DEFINITION_DEPTH_MAX} lists and objects inside each other, found more"
            raise _error(self._source, event.start_mark, expected)
        self._put(data)
        self._open.append(_Container(data))

    def _put(self, value: object) -> None:
        if not self._open:
            self.root = value
            return
        container = self._open[-1]
        if isinstance(container.data, list):
            container.data.append(value)
        elif container.key is not None:
            container.data[container.key] = value
            container.key = None


def _plain(text: str) -> object:
    """Return what a word without quotation marks stands for."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text) or _HEXADECIMAL.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _NOT_FINITE.fullmatch(text):
        # The definition's own check refuses it, and names its place.
        return float(text.replace(".", ""))
    return text


def _error(source: str, mark: "_Mark | None", problem: str, hint: str = "") -> DefinitionError:
    place = f"{source}, line {mark.line + 1}, column {mark.column + 1}" if mark is not None else source
    return DefinitionError(f"{place}: {problem}.", hint=hint)
