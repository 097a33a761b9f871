"""Promise 7: a wait gives its own run's result, one that the log accepted, and never hangs past its timeout."""

import json
from collections.abc import Iterator

from tests.checkers.artefacts import Artefacts
from tests.checkers.rule import STATUS, Chains, terminal_of


def truthful(artefacts: Artefacts, chains: Chains) -> Iterator[str]:
    """Yield answers that are another run's, or not what the log says."""
    for request in artefacts.requests:
        if request.outcome != "ok" or "wait" not in request.kind.split("+"):
            continue
        if request.run_given != request.run:
            yield f"who waited for run {request.run} was given run {request.run_given}"
        chain = chains.get(request.run_given, ())
        end = terminal_of(chain) if chain else None
        told = (request.status, request.commit)
        truth = None if end is None else (STATUS[end["type"]], chain[-1].id)
        if artefacts.facts.truncated:
            continue
        if told != truth:
            yield f"who waited for run {request.run} was told {told}, the log says {truth}"
        elif end is not None and request.output and json.loads(request.output) != end["output"]:
            yield f"who waited for run {request.run} was given {request.output}, the log says {end['output']}"


def in_time(artefacts: Artefacts, chains: Chains) -> Iterator[str]:  # noqa: ARG001 - the signature of all checkers
    """Yield calls that hang, or that took longer than they may."""
    for request in artefacts.requests:
        if request.outcome == "waiting" and artefacts.facts.calm:
            yield f"run {request.run}: a caller waits for {request.kind} for ever"
        if request.timeout is not None and request.seconds > request.timeout + artefacts.facts.slack_seconds:
            yield f"run {request.run}: {request.kind} took {request.seconds} s, its timeout is {request.timeout} s"
