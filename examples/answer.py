"""The first program: a workflow that answers a question, started in the three ways there are.

    python examples/answer.py [LOCATION]

The location is a directory or kafka://HOST:PORT/PREFIX; without it, the setting `data` says where runs are kept:
RUNLINE_DATA in the environment, or the directory `data`.
"""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

from engine import Call, ContextObject, EngineService, Registry, Run, RunStatus, Trace

WORKFLOW = Path(__file__).with_name("example.yaml")

registry = Registry()


@registry.node("answer")
async def answer(context: ContextObject, _call: Call) -> None:
    """Answer the question: every one is about Brazil."""
    prompt, user_id = context.get("input.prompt", str), context.get("input.user_id", int)
    context.set("output.text", f"{prompt} Brasilia, user {user_id}.")


def question() -> ContextObject:
    """Return what a run is given."""
    context = ContextObject()
    context.set("input.prompt", "What is the capital of Brazil?")
    context.set("input.user_id", 42)
    context.set("input.now", datetime.now(UTC))
    return context


def show(way: str, completed: Run) -> bool:
    """Print what became of a run, and return whether it succeeded."""
    if completed.run_status == RunStatus.SUCCESS:
        print(f"{way}: {ContextObject.deserialize(completed.output_context).get('output.text', str)}")
        return True
    print(f"{way}: {completed.run_status.value}: {completed.error}")
    return False


async def wait(location: str | None) -> bool:
    """Start a run and wait for its result."""
    async with EngineService.open(location, registry) as engine:
        await engine.publish_workflow(WORKFLOW)
        workflow_id = await engine.get_workflow_id("Example Workflow")
        run_id = await engine.create_workflow_run(workflow_id)
        completed = await engine.start_workflow_run_and_wait(run_id, question())
        return show("wait", completed)


class Progress:
    """A progress service: hears of every change of every run, prints it, and hands on the runs that have ended."""

    def __init__(self) -> None:
        self._ended: asyncio.Queue[Run] = asyncio.Queue()

    async def run_progress(self, run: Run) -> None:
        """Hear of a run that was created or changed."""
        print(f"notify: run {run.run_id} is {run.run_status.value}")
        if run.run_status.terminal:
            self._ended.put_nowait(run)

    async def trace_progress(self, trace: Trace) -> None:
        """Hear of a trace that was started or changed."""
        print(f"notify: node {trace.node_id} is {trace.trace_status.value}")

    async def ended(self, run_id: str) -> Run:
        """Wait until this run has ended; others in the same log may end before."""
        while (run := await self._ended.get()).run_id != run_id:
            pass
        return run


async def notify(location: str | None) -> bool:
    """Start a run, go on at once, and hear of its progress."""
    progress = Progress()
    async with EngineService.open(location, registry, progress_services=[progress]) as engine:
        await engine.publish_workflow(WORKFLOW)
        run_id = await engine.create_workflow_run(await engine.get_workflow_id("Example Workflow"))
        await engine.start_workflow_run_and_notify(run_id, question())
        print("notify: the run is started, this program goes on")
        return show("notify", await progress.ended(run_id))


def synchronously(location: str | None) -> bool:
    """Start a run and block until it has ended: for programs without an event loop."""
    with EngineService.open(location, registry) as engine:
        engine.synchronously(engine.publish_workflow(WORKFLOW))
        workflow_id = engine.synchronously(engine.get_workflow_id("Example Workflow"))
        run_id = engine.synchronously(engine.create_workflow_run(workflow_id))
        return show("synchronously", engine.start_workflow_run_synchronously(run_id, question()))


def main(arguments: list[str]) -> int:
    """Run the three ways one after the other; return 1 when one of the runs did not succeed."""
    location = arguments[0] if arguments else None
    succeeded = [asyncio.run(wait(location)), asyncio.run(notify(location)), synchronously(location)]
    return 0 if all(succeeded) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
