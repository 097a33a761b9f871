"""Promise 8: what makes no sense stops nothing else, and is kept for inspection."""

import json
from collections.abc import Iterator

from tests.checkers.artefacts import Artefacts, Line
from tests.checkers.rule import Chains


def kept(artefacts: Artefacts, chains: Chains) -> Iterator[str]:  # noqa: ARG001 - the signature of all checkers
    """Yield commands that are none and whose bytes are not kept, and refusals of bytes that never were."""
    facts = artefacts.facts
    if facts.truncated:
        return
    commands = {(str(line.partition), str(line.offset)): line for line in artefacts.log if line.topic == "commands"}
    refused: set[tuple[str, str]] = set()
    for line in artefacts.records("rejections"):
        place = (line.headers.get("partition", ""), line.headers.get("offset", ""))
        refused.add(place)
        found = commands.get(place)
        if found is None or not found.value.startswith(line.value) or line.headers.get("size") != str(len(found.value)):
            yield f"a refusal of commands/{'/'.join(place)} does not have the bytes that stand there"
        if not (line.headers.get("code") and line.headers.get("reason")):
            yield f"a refusal of commands/{'/'.join(place)} does not say why"
    if facts.calm:
        for place, line in commands.items():
            if not _makes_sense(line) and place not in refused:
                yield f"the bytes at commands/{'/'.join(place)} are no command, and are not kept"


def _makes_sense(line: Line) -> bool:
    """Return whether it might be a command; what is wrong in detail is for the engine to say."""
    try:
        value = json.loads(line.value)
    except ValueError:
        return False
    return isinstance(value, dict) and {"id", "run", "type"} <= value.keys()
