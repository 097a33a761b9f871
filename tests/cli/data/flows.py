"""The application that the command line's tests run."""

import threading
import time
from pathlib import Path

from engine import Call, ContextObject, Registry

HOSTILE = "\x1b[2J[bold red]\u202e:smile:\r\nforged line"

registry = Registry()


def note_start(context: ContextObject) -> None:
    """Tell the test that the function runs."""
    Path(context.get("input.ledger", str)).touch()


@registry.node("greet")
async def greet(context: ContextObject, _: Call) -> None:
    """Say hello, in a way that a careless terminal would obey."""
    context.set("output.text", f"Hello {context.get('input.name', str)}{HOSTILE}")


@registry.node("fail")
def fail(_context: ContextObject, _call: Call) -> None:
    """Fail, as rudely as possible."""
    raise ValueError(HOSTILE)


@registry.node("gate")
def gate(context: ContextObject, call: Call) -> None:
    """Note the attempt in a ledger, then wait until a file is there."""
    with Path(context.get("input.ledger", str)).open("a", encoding="utf-8") as ledger:
        ledger.write(f"{call.idempotency_key} {call.attempt}\n")
    gate_file = Path(context.get("input.gate", str))
    while not gate_file.exists():
        call.raise_if_cancelled()
        time.sleep(0.01)


@registry.node("hang")
def hang(context: ContextObject, _: Call) -> None:
    """Hang in a thread for ever."""
    note_start(context)
    threading.Event().wait()


@registry.node("block")
async def block(context: ContextObject, _: Call) -> None:
    """Block the event loop itself, as an asynchronous function must not."""
    note_start(context)
    while True:
        time.sleep(0.05)  # noqa: ASYNC251 - the mistake that is tested
