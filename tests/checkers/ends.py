"""Promise 2: every started run ends in exactly one terminal event."""

from collections.abc import Iterator

from tests.checkers.artefacts import Artefacts
from tests.checkers.rule import TERMINAL, Chains, events_of


def ends(artefacts: Artefacts, chains: Chains) -> Iterator[str]:
    """Yield runs that end twice, go on behind their end, or do not end although there was time enough."""
    for run, chain in chains.items():
        types = [event["type"] for event in events_of(chain)]
        count = sum(each in TERMINAL for each in types)
        if count > 1 or (count and types[-1] not in TERMINAL):
            yield f"run {run} does not end in exactly one terminal event: {types}"
        if artefacts.facts.calm and "run.started" in types and not count:
            yield f"run {run} was started and does not end: {types}"
