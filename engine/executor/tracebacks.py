"""Tracebacks: what the process's own log says of an exception of user code, whatever that is made of.

The standard library's own would do for most exceptions. But it asks an exception for its text once more, and it walks
through all groups and causes, however often they share their parts: both on the event loop.
"""

import traceback
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Final, cast

from engine.core.soundness import class_name, text_of, told
from engine.limits import TRACEBACK_CHARACTERS_MAX, TRACEBACK_EXCEPTIONS_MAX, TRACEBACK_FRAMES_MAX

_CAUSED: Final = "\nThe above exception was the direct cause of the following exception:\n\n"
_MEANWHILE: Final = "\nDuring handling of the above exception, another exception occurred:\n\n"
_LEFT_OUT: Final = "... (more exceptions are left out)\n"
_UNWRITTEN: Final = "... (its traceback cannot be written)\n"
_INDENT: Final = "  | "


def traceback_of(error: BaseException, message: str) -> str:
    """Return the traceback of an exception, its causes and its groups, without its middle if it is too long.

    Args:
        error: The exception.
        message: What it says, which it is not asked for again.

    Raises:
        KeyboardInterrupt: Somebody interrupts the process just then; nothing else is raised.
    """
    try:
        return _cut("".join(_Writer().chain(error, message)))
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - an exception of user code may be made of anything
        return f"{_UNWRITTEN}{_last_line(error, message)}"


class _Writer:
    """Writes one traceback, within bounds for all of its parts together."""

    def __init__(self) -> None:
        self._exceptions = TRACEBACK_EXCEPTIONS_MAX
        self._frames = TRACEBACK_FRAMES_MAX

    def chain(self, error: BaseException, message: str | None = None) -> Iterator[str]:
        """Yield the lines of an exception, behind those of what led to it, the last of that first."""
        parts = [self._single(error, message)]
        seen = {id(error)}
        led: BaseException | None = error
        while led is not None:
            link = _CAUSED if led.__cause__ is not None else _MEANWHILE
            led = led.__cause__ if led.__suppress_context__ or led.__cause__ is not None else led.__context__
            if led is None or id(led) in seen:
                break
            if not self._exceptions:
                parts.append([_LEFT_OUT, link])
                break
            seen.add(id(led))
            parts.append([*self._single(led), link])
        for part in reversed(parts):
            yield from part

    def _single(self, error: BaseException, message: str | None = None) -> list[str]:
        """Return the lines of an exception without what led to it, but with its notes and the members of its group."""
        self._exceptions -= 1
        lines = self._calls(error.__traceback__)
        lines.append(_last_line(error, text_of(error) if message is None else message))
        lines += self._notes(error)
        for number, member in enumerate(_members(error), 1):
            if not self._exceptions:
                lines.append(f"{_INDENT}{_LEFT_OUT}")
                break
            lines.append(f"  +---------------- {number} ----------------\n")
            lines += [f"{_INDENT}{line}\n" for part in self.chain(member) for line in part.splitlines()]
        return lines

    def _calls(self, innermost_last: TracebackType | None) -> list[str]:
        """Return the lines of the calls that an exception went through; of too many only the last."""
        if innermost_last is None:
            return []
        calls: list[TracebackType] = []
        call: TracebackType | None = innermost_last
        while call is not None:
            calls.append(call)
            call = call.tb_next
        left = max(self._frames, 1)
        self._frames -= min(len(calls), left)
        lines = ["Traceback (most recent call last):\n"]
        if len(calls) > left:
            lines.append(f"  ... ({len(calls) - left} calls are left out)\n")
        try:
            lines += traceback.format_tb(calls[max(len(calls) - left, 0)])
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001 - it looks for the source, also with loaders that user code brings
            lines.append(f"  {_UNWRITTEN}")
        return lines

    def _notes(self, error: BaseException) -> Iterator[str]:
        notes: object = getattr(error, "__notes__", None)
        if isinstance(notes, list):
            for note in notes[: max(self._exceptions, 0)]:
                self._exceptions -= 1
                yield f"{_text_of_note(note)}\n"


def _members(error: BaseException) -> Sequence[BaseException]:
    # Its class is looked at, because what an exception itself says of its class may be user code.
    is_group = issubclass(type(error), BaseExceptionGroup)
    return cast("BaseExceptionGroup[BaseException]", error).exceptions if is_group else ()


def _text_of_note(note: object) -> str:
    return told(lambda: str(note), "... (a note without a text)")


def _last_line(error: BaseException, message: str) -> str:
    """Return what an exception is and what it says."""
    kind = type(error)
    module = told(lambda: kind.__module__, "")
    name = told(lambda: kind.__qualname__, "") or class_name(kind)
    if module not in {"", "__main__", "builtins"}:
        name = f"{module}.{name}"
    return f"{name}: {message}\n" if message else f"{name}\n"


def _cut(text: str) -> str:
    """Return a traceback without its middle if it is too long: it says at its end what happened, and where."""
    if len(text) <= TRACEBACK_CHARACTERS_MAX:
        return text
    head = TRACEBACK_CHARACTERS_MAX // 4
    return f"{text[:head]}\n... (cut from {len(text)} characters) ...\n{text[head - TRACEBACK_CHARACTERS_MAX :]}"
