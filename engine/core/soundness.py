"""Soundness: what comes from user code is checked before it becomes an event."""

from engine.context.check import check_limits, check_wire
from engine.context.values import WireObject
from engine.errors import RunlineError
from engine.limits import ERROR_MESSAGE_CHARACTERS_MAX
from engine.nodes.node_type import Done, Ended, Failed, Step, Work


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
    except (RunlineError, TypeError, ValueError, AttributeError, KeyError, RecursionError) as error:
        return failed_by(error)
    return Failed("step", f"expected Done, Ended, Failed or Work from a node type, but found {type(step).__name__}")


def failed_by(error: BaseException) -> Failed:
    """Return the failure that an exception stands for, whatever its text is made of."""
    kind = type(error).__name__
    if isinstance(error, RunlineError) and error.code != RunlineError.code:
        kind = error.code
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - an exception of user code may fail to say anything
        message = f"{type(error).__name__} without a text"
    return Failed(text(kind), text(message))


def text(message: str) -> str:
    """Return a text that JSON can carry, within the limit; given such a text, the same one."""
    if not isinstance(message, str):
        raise TypeError(f"expected a text, but found {type(message).__name__}")
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
