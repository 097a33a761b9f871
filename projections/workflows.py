"""The workflow catalogue: every published version, in the order of publication."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final

import orjson
from pydantic import ValidationError

from engine.log.port import WORKFLOWS, LogRecord
from engine.workflow.definition import WorkflowDefinition
from projections.keys import SEPARATOR, text_key
from projections.projection import Rows, Stretch, family_name

_LOGGER = logging.getLogger("runline.projections")

ROWS: Final = "rows"


@dataclass(frozen=True, slots=True)
class PublishedWorkflow:
    """A published workflow version.

    Attributes:
        workflow_id: The workflow's id.
        version: The hash of its canonical JSON.
        name: Its name.
        nodes: How many nodes it has.
        published: UTC, of the last publication of this version; None where the record does not say.
        offset: Where that stands on `workflows`; the highest one of an id is its newest version.
        definition: The definition.
    """

    workflow_id: str
    version: str
    name: str
    nodes: int
    published: datetime | None
    offset: int
    definition: WorkflowDefinition


class Workflows:
    """Folds `workflows` into a row for each version."""

    name: ClassVar[str] = "workflows"
    version: ClassVar[int] = 1
    topic: ClassVar[str] = WORKFLOWS
    families: ClassVar[Sequence[str]] = (ROWS,)

    def fold(self, records: Sequence[LogRecord], stretches: Iterable[Stretch], rows: Rows) -> None:  # noqa: ARG002 - the protocol's
        """Write the versions of a batch; what is no definition is passed over, loudly, as executors do."""
        for record in records:
            try:
                definition = WorkflowDefinition.from_canonical(record.value)
            except ValidationError as error:
                _LOGGER.error("No workflow definition at offset %d of %s: %s", record.offset, WORKFLOWS, error)  # noqa: TRY400 - the text says it all
                continue
            row = {
                "version": definition.version,
                "published": _time(record.headers.get("ce_time")),
                "offset": record.offset,
                "definition": record.value.decode(),
            }
            rows.put(ROWS, text_key(definition.id) + SEPARATOR + text_key(definition.version), orjson.dumps(row))


ROWS_FAMILY: Final = family_name(Workflows.name, ROWS)


def decode_row(value: bytes) -> PublishedWorkflow:
    """Return a row as a published workflow."""
    row = orjson.loads(value)
    definition = WorkflowDefinition.from_canonical(row["definition"].encode())
    published = row["published"]
    return PublishedWorkflow(
        workflow_id=definition.id,
        version=row["version"],
        name=definition.name,
        nodes=len(definition.nodes),
        published=None if published is None else datetime.fromisoformat(published),
        offset=row["offset"],
        definition=definition,
    )


def _time(text: str | None) -> str | None:
    """Return a time as it stands in a header, or None where that is none: anybody may publish."""
    try:
        time = None if text is None else datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if time is None or time.tzinfo is None else time.isoformat()
