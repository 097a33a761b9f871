"""An application that prints wherever it can."""

import asyncio
import sys
import threading
import time

from engine import Call, ContextObject, Registry

registry = Registry()
held = sys.stdout
left_behind: list[asyncio.Task[None]] = []

print("told at the import")


@registry.node("tell")
async def tell(_context: ContextObject, _call: Call) -> None:
    """Print in the event loop and, when it is closed, from what was left behind in it."""
    print("told in the loop")

    async def stay() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            print("told by what was left behind")

    left_behind.append(asyncio.create_task(stay()))
    await asyncio.sleep(0)


@registry.node("tell_in_thread")
def tell_in_thread(_context: ContextObject, _call: Call) -> None:
    """Print in a thread, on what stdout was at the import too, and from a thread that outlives the command."""
    print("told in a thread")
    print("told on what was held", file=held)
    threading.Thread(target=_tell_late, daemon=False).start()


def _tell_late() -> None:
    # The document is printed meanwhile, and the process waits a moment for threads like this one.
    for _ in range(20):
        time.sleep(0.05)
        print("told late")
