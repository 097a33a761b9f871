"""The rule of the log, written down a second time: which commits count. It reads JSON, and nothing of the engine."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, NotRequired, Protocol

from typing_extensions import TypedDict

TERMINAL = ("run.succeeded", "run.failed", "run.cancelled")
STATUS = {"run.succeeded": "Success", "run.failed": "Failed", "run.cancelled": "Cancelled"}


class LogLine(Protocol):
    """A record, as the log gives it."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> str: ...
    @property
    def value(self) -> bytes: ...
    @property
    def headers(self) -> Mapping[str, str]: ...


class Event(TypedDict):
    """The fields of events that checkers look at; each type of event has some of them."""

    type: str
    trace: int
    attempt: int
    executor: NotRequired[str]
    command: NotRequired[str]
    offset: int
    output: object


class CommitValue(TypedDict):
    """The value of a commit."""

    run: str
    time: str
    decided: int | None
    events: list[Event]


class Commit(NamedTuple):
    """A commit that counts."""

    id: str
    offset: int
    value: CommitValue


Chain = Sequence[Commit]
Chains = Mapping[str, Chain]


def chains(records: Iterable[LogLine]) -> dict[str, list[Commit]]:
    """Return each run's commits that count, of the records of one partition from its first one on."""
    epoch = ""
    heads: dict[str, str] = {}
    ended: set[str] = set()
    found: dict[str, list[Commit]] = defaultdict(list)
    for record in records:
        headers = record.headers
        if headers.get("ce_type") == "runline.fence" and record.key == "fence":
            epoch = f"{record.offset}:{headers.get('nonce', '')}"
        if headers.get("ce_type") != "runline.commit" or headers.get("epoch") != epoch or record.key in ended:
            continue
        prev = headers.get("prev", "")
        if prev != heads.get(record.key, "genesis"):
            continue
        hashed = hashlib.sha256(f"{prev}\n{epoch}\n".encode() + record.value).hexdigest()
        if hashed != headers.get("ce_id"):
            continue
        heads[record.key] = hashed
        value: CommitValue = json.loads(record.value)
        found[record.key].append(Commit(hashed, record.offset, value))
        if any(event["type"] in TERMINAL for event in value["events"]):
            ended.add(record.key)
    return found


def accepted_commits(records: Iterable[LogLine]) -> Mapping[str, Sequence[CommitValue]]:
    """Return the values of each run's commits that count."""
    return {run: [commit.value for commit in chain] for run, chain in chains(records).items()}


def events_of(chain: Chain) -> list[Event]:
    """Return a run's events, in order."""
    return [event for commit in chain for event in commit.value["events"]]


def terminal_of(chain: Chain) -> Event | None:
    """Return the event that a run ended with, or None while it goes on."""
    last = chain[-1].value["events"][-1]
    return last if last["type"] in TERMINAL else None
