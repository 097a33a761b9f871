"""Promise 6: a progress service sees every change of a run in order, at least once, with the event id."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from tests.checkers.artefacts import Artefacts, Delivered
from tests.checkers.rule import Chain, Chains

_UNTOLD = ("command.refused",)
"""Changes neither a run nor a trace."""


def in_order(artefacts: Artefacts, chains: Chains) -> Iterator[str]:
    """Yield changes that a service heard of too early, never, or that never were."""
    heard: dict[tuple[str, str], list[Delivered]] = defaultdict(list)
    services = dict.fromkeys([*artefacts.facts.services, *(delivered.service for delivered in artefacts.deliveries)])
    for delivered in artefacts.deliveries:
        heard[delivered.service, delivered.run].append(delivered)
    changes = {run: changes_of(chain) for run, chain in chains.items()}
    for service in services:
        for run in dict.fromkeys([*changes, *(run for name, run in heard if name == service)]):
            partial = service in artefacts.facts.partial
            complete = artefacts.facts.calm and not partial
            for text in _run(heard[service, run], changes.get(run, []), complete=complete, partial=partial):
                if not artefacts.facts.truncated:
                    yield f"service {service}, run {run}: {text}"


def going_on(artefacts: Artefacts, chains: Chains) -> Iterator[str]:
    """Yield changes that are left after an election, and that a service never heard of which goes on."""
    dealt = {(delivered.service, delivered.event) for delivered in artefacts.deliveries if delivered.dealt}
    partitions = {line.key: line.partition for line in artefacts.log if line.topic == "events"}
    for service, partition in artefacts.facts.going_on:
        for run in (run for run in chains if partitions[run] == partition):
            for event, kind in changes_of(chains[run]):
                if (service, event) not in dealt:
                    yield f"service {service}, run {run}: goes on and never dealt with {kind} {event}"
                    break


def changes_of(chain: Chain) -> list[tuple[str, str]]:
    """Return the ids and types of the changes that a service hears of."""
    return [
        (f"{commit.id}.{index}", event["type"])
        for commit in chain
        for index, event in enumerate(commit.value["events"])
        if event["type"] not in _UNTOLD
    ]


def _run(
    heard: Sequence[Delivered], changes: Sequence[tuple[str, str]], *, complete: bool, partial: bool
) -> Iterator[str]:
    places = {event: place for place, (event, _) in enumerate(changes)}
    following = places.get(heard[0].event, 0) if partial and heard else 0
    for delivered in heard:
        place = places.get(delivered.event)
        if place is None or changes[place][1] != delivered.event_type:
            yield f"heard of {delivered.event_type} {delivered.event}, which is not on the log"
            return
        if place > following:
            missing = changes[following]
            yield f"heard of {delivered.event_type} before it had dealt with {missing[1]} {missing[0]}"
            return
        if place == following and (delivered.dealt or not delivered.held):
            following += 1
    if complete and following < len(changes):
        yield f"never dealt with {changes[following][1]} {changes[following][0]}"
