"""Promise 1: an acknowledged command is never lost, and never applied twice."""

import json
from collections import Counter
from collections.abc import Iterator

from tests.checkers.artefacts import Artefacts, Line
from tests.checkers.rule import Chain, Chains, events_of

_DONE_BY = {"create": "run.created", "start": "run.started", "cancel": "run.cancelled"}
"""What the log has when a request was done."""


def lost(artefacts: Artefacts, chains: Chains) -> Iterator[str]:
    """Yield what was acknowledged and is not on the log."""
    if artefacts.facts.truncated:
        return
    for request in artefacts.requests:
        if request.outcome != "ok":
            continue
        for what in request.kind.split("+"):
            if what in _DONE_BY and _DONE_BY[what] not in _types(chains.get(request.run, ())):
                yield f"run {request.run}: {what} was acknowledged, but the log does not have it"


def twice(artefacts: Artefacts, chains: Chains) -> Iterator[str]:
    """Yield what was applied more than once, or applied and refused."""
    applied: Counter[str] = Counter()
    refused: Counter[tuple[str, int, int]] = Counter()
    for run, chain in chains.items():
        types = _types(chain)
        if types[0] != "run.created" or types.count("run.created") != 1 or types.count("run.started") > 1:
            yield f"run {run} is created or started more than once: {types}"
        for commit in chain:
            events = commit.value["events"]
            # One command may lead to several events of one decision.
            applied.update({event["command"] for event in events if "command" in event and not _refuses(event["type"])})
            refused.update(
                (event["command"], commit.offset, event["offset"]) for event in events if _refuses(event["type"])
            )
    yield from (f"command {name} was applied {count} times" for name, count in applied.items() if count > 1)
    places = Counter((name, offset) for name, _, offset in refused.elements())
    yield from (
        f"command {name} at {offset} was refused {count} times" for (name, offset), count in places.items() if count > 1
    )
    yield from _both(artefacts, applied)


def _both(artefacts: Artefacts, applied: Counter[str]) -> Iterator[str]:
    """Yield commands that stand once on the log, and were applied and refused."""
    if artefacts.facts.truncated:
        # A run whose end was taken away goes on, and what was refused because of that end may be done now.
        return
    copies = Counter(_id(line) for line in artefacts.log if line.topic == "commands")
    for line in artefacts.records("rejections"):
        name = line.headers.get("causationid", "")
        if applied[name] and copies[name] == 1:
            yield f"command {name} was applied, and refused: {line.headers.get('reason')}"


def unanswered(artefacts: Artefacts, chains: Chains) -> Iterator[str]:
    """Yield commands that were neither applied nor refused although there was time enough."""
    facts = artefacts.facts
    if not facts.calm or facts.truncated:
        return
    answered = {event["command"] for chain in chains.values() for event in events_of(chain) if "command" in event}
    rejections = artefacts.records("rejections")
    answered |= {line.headers.get("causationid", "") for line in rejections}
    places = {(line.headers.get("partition"), line.headers.get("offset")) for line in rejections}
    for line in artefacts.log:
        if line.topic != "commands" or (str(line.partition), str(line.offset)) in places:
            continue
        # What asks for a run that there is changes nothing, and nobody hears of it but the caller.
        asks_again = line.headers.get("ce_type") != "run.cancel" and field_of(line, "run") in chains
        if _id(line) not in answered and not asks_again:
            yield f"command {line.value!r:.200} at {line.partition}/{line.offset} was never decided"


def _types(chain: Chain) -> list[str]:
    return [event["type"] for event in events_of(chain)]


def _refuses(event_type: str) -> bool:
    return event_type == "command.refused"


def _id(line: Line) -> str:
    return field_of(line, "id")


def field_of(line: Line, name: str) -> str:
    """Return a field of a command, or nothing where there is none."""
    try:
        value = json.loads(line.value)
    except ValueError:
        return ""
    return str(value.get(name, "")) if isinstance(value, dict) else ""
