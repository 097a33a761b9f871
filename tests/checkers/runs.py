"""The checks that need no more than one partition of `events`, the acknowledged runs and the effects."""

from collections.abc import Iterable, Sequence

from tests.checkers.artefacts import Artefacts, Effect, Facts, Request
from tests.checkers.check import check_all
from tests.checkers.rule import LogLine


def check_runs(records: Sequence[LogLine], acknowledged: Iterable[str], effects: Sequence[Effect]) -> list[str]:
    """Return what breaks the promises 1, 2, 3 and 5 of the design; nothing when they hold and all is finished."""
    artefacts = Artefacts(Facts(partitions=1), requests=[Request("create", run, "ok") for run in acknowledged])
    artefacts.add_log("events", 0, records)
    artefacts.effects += effects
    return [str(violation) for violation in check_all(artefacts)]
