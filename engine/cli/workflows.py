"""Finding a published workflow by what a person types: its id or its name."""

from engine.catalogue import Catalogue
from engine.errors import WorkflowNotFoundError
from engine.log.port import Log
from engine.ports import SystemClock
from engine.process import SOURCE
from engine.registry import Registry
from engine.workflow.names import suggest


def make_catalogue(log: Log, registry: Registry | None = None) -> Catalogue:
    """Return a catalogue of the log's workflows; it has read nothing yet."""
    return Catalogue(log, registry or Registry(), source=SOURCE, now=SystemClock().now)


async def find_workflow_id(log: Log, text: str) -> str:
    """Return the id of the workflow with this id or, if none has it, with this name.

    Raises:
        WorkflowNotFoundError: There is none.
        WorkflowAmbiguousError: Several have the name.
    """
    catalogue = make_catalogue(log)
    await catalogue.refresh()
    workflows = catalogue.workflows
    if any(workflow.id == text for workflow in workflows):
        return text
    if any(workflow.name == text for workflow in workflows):
        return catalogue.find_id(text)
    known = [word for workflow in workflows for word in (workflow.id, workflow.name)]
    raise WorkflowNotFoundError(
        f"Expected the id or name of a published workflow, but no workflow has {text!r}{suggest(text, known) or '.'}",
        hint="Publish it first: runline publish FILE.",
    )
