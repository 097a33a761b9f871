"""Checkers of the promises: they read the log and an outside ledger, and share no code with the engine."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from engine.log.port import LogRecord

TERMINAL = ("run.succeeded", "run.failed", "run.cancelled")


class Effect(NamedTuple):
    """What user code left outside: it ran for this trace and attempt, in this process."""

    run: str
    trace: int
    attempt: int
    process: str


def accepted_commits(records: Iterable[LogRecord]) -> Mapping[str, Sequence[Mapping[str, object]]]:
    """Return each run's commits that count, by the rule of the log written down a second time."""
    epoch = ""
    heads: dict[str, str] = {}
    ended: set[str] = set()
    commits: dict[str, list[Mapping[str, object]]] = defaultdict(list)
    for record in records:
        headers = record.headers
        if headers.get("ce_type") == "runline.fence":
            epoch = f"{record.offset}:{headers['nonce']}"
        if headers.get("ce_type") != "runline.commit" or headers["epoch"] != epoch or record.key in ended:
            continue
        if headers["prev"] != heads.get(record.key, "genesis"):
            continue
        hashed = hashlib.sha256(f"{headers['prev']}\n{headers['epoch']}\n".encode() + record.value).hexdigest()
        if hashed != headers["ce_id"]:
            continue
        heads[record.key] = hashed
        value = json.loads(record.value)
        commits[record.key].append(value)
        if any(event["type"] in TERMINAL for event in value["events"]):
            ended.add(record.key)
    return commits


def check_runs(records: Sequence[LogRecord], acknowledged: Iterable[str], effects: Sequence[Effect]) -> list[str]:
    """Return what breaks the promises 1, 2, 3 and 5 of the design; nothing when they hold and all is finished."""
    commits = accepted_commits(records)
    violations = [f"acknowledged run {run} is not on the log" for run in acknowledged if run not in commits]
    started: dict[tuple[str, int, int], str] = {}
    for run, values in commits.items():
        events = [event for value in values for event in value["events"]]  # type: ignore[attr-defined]  # JSON
        kinds = [event["type"] for event in events]
        if kinds[0] != "run.created" or kinds.count("run.created") != 1 or kinds.count("run.started") > 1:
            violations.append(f"run {run} is created or started more than once: {kinds}")
        if sum(kind in TERMINAL for kind in kinds) != 1 or kinds[-1] not in TERMINAL:
            violations.append(f"run {run} does not end in exactly one terminal event: {kinds}")
        for event in events:
            if event["type"] == "trace.started" and "executor" in event:
                started[run, event["trace"], event["attempt"]] = event["executor"]
        finished = [event["trace"] for event in events if event["type"] in ("trace.succeeded", "trace.failed")]
        if len(finished) != len(set(finished)):
            violations.append(f"run {run} has a trace that ended twice: {finished}")
        worked = {effect.trace for effect in effects if effect.run == run}
        expected = {event["trace"] for event in events if event["type"] == "trace.started" and "executor" in event}
        if kinds[-1] == "run.succeeded" and worked != expected:
            violations.append(f"run {run} ended, but the effects of traces {sorted(expected - worked)} are missing")
    return violations + _check_effects(started, effects)


def _check_effects(started: Mapping[tuple[str, int, int], str], effects: Sequence[Effect]) -> list[str]:
    violations: list[str] = []
    seen: dict[tuple[str, int, int], str] = {}
    for effect in effects:
        key = (effect.run, effect.trace, effect.attempt)
        if key not in started:
            violations.append(f"effect {key} without an accepted start")
        if key in seen:
            violations.append(f"attempt {key} was executed by {seen[key]} and by {effect.process}")
        seen[key] = effect.process
    return violations
