"""Soundness: what comes from user code is checked before it becomes an event."""

from collections.abc import Callable
from types import GetSetDescriptorType
from typing import Final

from engine.context.check import check_limits, check_wire
from engine.context.values import WireObject
from engine.errors import RunlineError
from engine.limits import ERROR_MESSAGE_CHARACTERS_MAX
from engine.nodes.node_type import Done, Ended, Failed, Step, Work

# A class may hide its name behind its metaclass; the interpreter's own look at it cannot be hidden.
_NAME: Final[GetSetDescriptorType] = vars(type)["__name__"]


def sound(step: object, context: WireObject) -> Step:
    """Return a step that can be put on the log: the given one, or a failure that says what is wrong with it.

    A node type may come from anywhere and answer anything. The context it got was checked before.
    """
    try:
        match step:
            case Work():
                return step
            case Done():
                return _sound_done(step)
            case Ended():
                if step.output is not context:
                    check_limits(_plain(step.output))
                return step if step.message == "" else step._replace(message=text(step.message))
            case Failed():
                return Failed(text(step.type), text(step.message))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - looking at what user code made runs more of it
        return failed_by(error)
    return Failed("step", f"expected Done, Ended, Failed or Work from a node type, but found {class_name(type(step))}")


def failed_by(error: BaseException) -> Failed:
    """Return the failure that an exception stands for, whatever it is made of; its text is asked for once."""
    return Failed(_kind(error), text_of(error))


def text_of(error: BaseException) -> str:
    """Return what an exception says, as `text` does; the name of its class when it says nothing that can be told."""
    return told(lambda: str(error), f"{class_name(type(error))} without a text")


def class_name(kind: type) -> str:
    """Return the name of a class as `text` does, also of one whose metaclass gives none."""
    return told(lambda: kind.__name__, "") or text(str(_NAME.__get__(kind)))


def told(say: Callable[[], str], otherwise: str) -> str:
    """Return what user code says, as `text` does, or another text when it raises or says no text.

    Raises:
        KeyboardInterrupt: Somebody interrupts the process just then; nothing else is raised.
    """
    try:
        return text(say())
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - what an exception of user code does when it is asked is user code again
        return otherwise


def _kind(error: BaseException) -> str:
    name = class_name(type(error))

    def kind() -> str:
        return error.code if isinstance(error, RunlineError) and error.code != RunlineError.code else name

    return told(kind, name)


def text(message: str) -> str:
    """Return a text that JSON can carry, within the limit; given such a text, the same one.

    Raises:
        TypeError: It is no text.
    """
    if not isinstance(message, str):
        raise TypeError(f"expected a text, but found {class_name(type(message))}")
    # A class derived from str may have changed what it is made of: from here on it is none.
    message = str.__str__(message)
    if len(message) <= ERROR_MESSAGE_CHARACTERS_MAX and message.isascii():
        return message
    # What JSON cannot carry gets longer when it is spelled out, so it is done before the text is cut.
    kept = message[: ERROR_MESSAGE_CHARACTERS_MAX + 1].encode("utf-8", "backslashreplace").decode()
    if len(kept) <= ERROR_MESSAGE_CHARACTERS_MAX:
        return kept
    cut = f"... (cut from {len(message)} characters)"
    return kept[: ERROR_MESSAGE_CHARACTERS_MAX - len(cut)] + cut


def _sound_done(step: Done) -> Done:
    if step.output is not None and not isinstance(step.output, str):
        raise TypeError(f"expected the name of an output, but found {type(step.output).__name__}")
    changes = list(step.changes)
    for change in changes:
        if change["op"] == "set":
            _plain({"value": change["value"]})
    return Done(changes, step.output, text(step.message))


def _plain(value: WireObject) -> WireObject:
    return check_wire(value, unknown_types=True)
