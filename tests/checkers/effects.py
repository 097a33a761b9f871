"""Promise 5: a node's attempt is run by one executor, its completion is recorded once, and its key is stable."""

from collections import defaultdict
from collections.abc import Iterator

from tests.checkers.artefacts import Artefacts
from tests.checkers.rule import Chains, Event, events_of

_ENDS = ("trace.succeeded", "trace.failed", "trace.cancelled")


def attempts(artefacts: Artefacts, chains: Chains) -> Iterator[str]:
    """Yield effects of attempts that nobody started, or that several executed."""
    started = {
        (run, event["trace"], event["attempt"])
        for run, chain in chains.items()
        for event in events_of(chain)
        if event["type"] == "trace.started" and "executor" in event
    }
    seen: dict[tuple[str, int, int], str] = {}
    for effect in artefacts.effects:
        key = (effect.run, effect.trace, effect.attempt)
        if key not in started and not artefacts.facts.truncated:
            yield f"effect {key} without an accepted start"
        if key in seen and not artefacts.facts.truncated:
            yield f"attempt {key} was executed by {seen[key]} and by {effect.process}"
        seen[key] = effect.process


def completions(artefacts: Artefacts, chains: Chains) -> Iterator[str]:
    """Yield traces that ended twice, out of the blue, or with a success that nobody worked for."""
    worked = {(effect.run, effect.trace, effect.attempt) for effect in artefacts.effects}
    for run, chain in chains.items():
        # The current attempt of each open trace; 0 for one that needs nothing outside.
        current: dict[int, int] = {}
        for event in events_of(chain):
            trace = event.get("trace", 0)
            if event["type"] == "trace.started":
                yield from _starts(run, event, current)
                current[trace] = event["attempt"] if "executor" in event else 0
            elif event["type"] in _ENDS:
                attempt = current.pop(trace, None)
                if attempt is None:
                    yield f"run {run}: trace {trace} ended with {event['type']}, but it was not open"
                elif attempt and event["type"] == "trace.succeeded" and (run, trace, attempt) not in worked:
                    yield f"run {run}: trace {trace} succeeded, but the effect of attempt {attempt} is missing"


def _starts(run: str, event: Event, current: dict[int, int]) -> Iterator[str]:
    trace, attempt = event["trace"], event["attempt"]
    if attempt != current.get(trace, 0) + 1:
        yield f"run {run}: trace {trace} begins attempt {attempt} after attempt {current.get(trace, 0)}"


def keys(artefacts: Artefacts, chains: Chains) -> Iterator[str]:  # noqa: ARG001 - the signature of all checkers
    """Yield traces whose executions had different idempotency keys, and keys that several traces had."""
    by_trace: dict[tuple[str, int], set[str]] = defaultdict(set)
    by_key: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for effect in artefacts.effects:
        if effect.key:
            by_trace[effect.run, effect.trace].add(effect.key)
            by_key[effect.key].add((effect.run, effect.trace))
    yield from (f"trace {trace} had the keys {sorted(of)}" for trace, of in by_trace.items() if len(of) > 1)
    yield from (f"key {key} was that of {sorted(of)}" for key, of in by_key.items() if len(of) > 1)
