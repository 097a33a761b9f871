"""The scenarios of the acceptance vectors: what a reader meets on a partition of `events`, good and bad."""

from collections.abc import Iterator
from hashlib import sha256
from typing import Final

import orjson

from engine.core.events import Event, RunCreated, RunStarted, RunSucceeded, TraceStarted, TraceSucceeded
from engine.core.identity import make_run_id
from engine.core.records import COMMIT, FENCE
from engine.limits import WINDOW_SECONDS
from engine.log.port import Record
from engine.schemas.vectors import EXECUTOR, TIME, Partition, Vector

_MADE: Final = 1_795_420_800_000
"""When the run ids are made, in milliseconds since 1970 UTC."""
_LATER: Final = _MADE + int(WINDOW_SECONDS * 1000) + 60_000
"""A time at which runs made then may be forgotten."""
_VERSION: Final = sha256(b"order").hexdigest()
_NOTE: Final = "für Zoë, 10 €"
A, B, C, D = (make_run_id(_MADE + number, number) for number in range(4))
NEW: Final = make_run_id(_LATER, 9)


def scenarios() -> Iterator[Vector]:
    """Yield all vectors."""
    yield from (each() for each in _REGULAR)
    yield from _unreadable()
    yield from (each() for each in _CHECKPOINTED)


def _created(run: str, number: int = 42) -> list[Event]:
    """Return the events of a first commit: the run has entered a node that works outside."""
    created = RunCreated(
        type="run.created", workflow="order", version=_VERSION, correlation=run, command=f"create-{number}"
    )
    started = RunStarted(
        type="run.started", context={"order": {"number": number}}, next="price", command=f"start-{number}"
    )
    return [created, started, *_again(1)]


def _again(attempt: int = 2) -> list[Event]:
    """Return the event of an attempt at the node."""
    started = TraceStarted(
        type="trace.started",
        trace=1,
        node="price",
        node_type="code",
        title="Price",
        attempt=attempt,
        executor=EXECUTOR,
    )
    return [started]


def _ended() -> list[Event]:
    """Return the events of a last commit."""
    succeeded = TraceSucceeded(
        type="trace.succeeded",
        trace=1,
        changes=[{"op": "set", "path": ["order", "note"], "value": _NOTE}],
        output=None,
        next=None,
        message="",
    )
    return [succeeded, RunSucceeded(type="run.succeeded", output={"order": {"number": 42, "note": _NOTE}})]


def _with(record: Record, **headers: str) -> Record:
    return record._replace(headers={**record.headers, **headers})


def _without(record: Record, name: str) -> Record:
    return record._replace(headers={key: text for key, text in record.headers.items() if key != name})


def _two_runs() -> Vector:
    log = Partition()
    log.fence("a")
    log.put(log.commit(A, _created(A), decided=0))
    log.put(log.commit(B, _created(B), decided=1))
    log.put(log.commit(B, _ended()))
    log.put(log.commit(A, _ended()))
    return Vector("two runs from their beginnings to their ends", log)


def _duplicates() -> Vector:
    log = Partition()
    log.fence("a")
    first = log.put(log.commit(A, _created(A), decided=0))
    log.put(first, "prev")
    second = log.put(log.commit(A, _again()))
    log.put(second, "prev")
    log.put(first, "prev")
    log.put(log.commit(A, _ended()))
    return Vector("records that stand there twice", log)


def _gap() -> Vector:
    log = Partition()
    log.fence("a")
    log.put(log.commit(A, _created(A), decided=0))
    lost = log.commit(A, _again())
    log.put(log.commit(A, _ended(), prev=lost.headers["ce_id"]), "prev")
    log.put(log.commit(B, _ended(), prev=lost.headers["ce_id"]), "prev")
    log.put(log.commit(A, _again(3)))
    return Vector("a gap: what follows a commit that never came does not count", log)


def _lost_race() -> Vector:
    log = Partition()
    log.fence("a")
    log.put(log.commit(A, _created(A), decided=0))
    one, other = log.commit(A, _again()), log.commit(A, _again(3))
    log.put(one)
    log.put(other, "prev")
    log.put(log.commit(A, _ended(), prev=other.headers["ce_id"]), "prev")
    log.put(log.commit(A, _ended(), prev=one.headers["ce_id"]))
    return Vector("two commits follow the same one: the first one in the partition counts", log)


def _after_the_end() -> Vector:
    log = Partition()
    log.fence("a")
    first = log.put(log.commit(A, [*_created(A), *_ended()], decided=3))
    log.put(log.commit(A, _again(), prev=first.headers["ce_id"]), "ended")
    log.put(first, "ended")
    log.put(log.commit(A, _created(A, 43), decided=4), "ended")
    log.put(log.commit(B, _created(B), decided=5))
    return Vector("nothing comes after the end, and the id does not begin again", log)


def _before_any_fence() -> Vector:
    log = Partition()
    log.put(log.commit(A, _created(A), epoch="0:a"), "epoch")
    log.fence("a")
    log.put(log.commit(A, _created(A), decided=0))
    return Vector("nothing counts before the first fence", log)


def _replaced() -> Vector:
    log = Partition()
    old = log.fence("old")
    log.put(log.commit(A, _created(A), decided=0))
    late = log.commit(A, _ended())
    log.fence("new")
    log.put(late, "epoch")
    log.put(log.commit(B, _created(B), epoch=old), "epoch")
    taken = log.put(log.commit(A, _again()))
    log.put(log.commit(A, _ended(), prev=taken.headers["ce_id"], epoch=old), "epoch")
    log.put(log.commit(A, _ended()))
    return Vector("an executor that has been replaced writes on", log)


def _late_fence() -> Vector:
    log = Partition()
    log.fence("one")
    other = log.fence("other")
    log.put(log.commit(A, _created(A), decided=0))
    log.fence("one-again")
    log.put(log.commit(A, _ended(), epoch=other), "epoch")
    log.put(log.commit(A, _again()))
    return Vector("a fence that lands late takes the partition all the same", log)


def _other_nonce() -> Vector:
    log = Partition()
    log.fence("a")
    log.put(log.commit(A, _created(A), epoch="0:b"), "epoch")
    log.put(log.commit(A, _created(A), epoch="0"), "epoch")
    log.put(log.commit(A, _created(A), epoch="00:a"), "epoch")
    log.put(log.commit(A, _created(A)))
    return Vector("an epoch is the fence's offset and its nonce: another one at the same offset is another epoch", log)


def _holes() -> Vector:
    log = Partition()
    log.fence("a", hole=3)
    log.put(log.commit(A, _created(A), epoch="0:a"), "epoch")
    log.put(log.commit(A, _created(A)), hole=2)
    log.fence("b", hole=1)
    log.put(log.commit(A, _ended(), epoch="3:b"), "epoch")
    log.put(log.commit(A, _ended()))
    return Vector("offsets may have holes: an epoch goes by the offset, not by counting", log)


def _changed_values() -> Vector:
    log = Partition()
    log.fence("a")
    first = log.commit(A, _created(A), decided=0)
    log.put(first._replace(value=first.value.replace(b'"number":42', b'"number":43')), "id")
    log.put(first._replace(value=first.value + b" "), "id")
    log.put(first._replace(value=b""), "id")
    log.put(_with(first, ce_id="f" * 64), "id")
    log.put(_with(first, ce_id=first.headers["ce_id"].upper()), "id")
    log.put(_without(first, "ce_id"), "id")
    log.put(first)
    last = log.commit(A, _ended())
    changed = last._replace(value=last.value.replace("Zoë".encode(), b"Zoe"))
    log.put(changed, "id")
    log.put(last)
    return Vector("values and ids that were changed", log)


def _changed_headers() -> Vector:
    log = Partition()
    log.fence("a")
    first = log.commit(A, _created(A), decided=0)
    log.put(_without(first, "epoch"), "epoch")
    log.put(_without(first, "prev"), "prev")
    log.put(first)
    last = log.commit(A, _ended())
    log.put(_with(last, prev="genesis"), "prev")
    log.put(_with(log.commit(A, _ended(), prev="f" * 64), prev=first.headers["ce_id"]), "id")
    log.put(last)
    return Vector("headers that are missing or were changed", log)


def _changed_copies() -> Vector:
    log = Partition()
    log.fence("a")
    log.put(_with(log.commit(A, _created(A), decided=0), types="run.succeeded", decided="no number"))
    log.put(_without(log.commit(A, _ended()), "types"))
    return Vector("the id covers the value: what the headers repeat of it decides nothing", log)


def _foreign() -> Vector:
    log = Partition()
    epoch = log.fence("a")
    first = log.commit(A, _created(A), decided=0)
    log.put(Record("", b"", {}), "foreign")
    log.put(Record(A, b"", {}), "foreign")
    log.put(Record(A, b"\xff\x00 no text", {"ce_type": "somebody.else", "epoch": epoch}), "foreign")
    log.put(_without(first, "ce_type"), "foreign")
    log.put(Record("checkpoint", b"{}", {"ce_type": "runline.checkpoint", "epoch": epoch}), "foreign")
    fence = Record(A, b"{}", {"ce_type": FENCE, "nonce": "b", "ce_id": "b"})
    log.put(fence, "foreign")
    log.put(first)
    log.put(Record(A, b"", {"ce_type": COMMIT}), "epoch")
    log.put(log.commit(A, _ended()))
    return Vector("records that others have put there", log)


def _unreadable() -> Iterator[Vector]:
    future = b'{"run":"%b","time":"%b","decided":null,"events":[{"type":"run.paused"}]}'
    broken = {
        "an event of a type that is not known": future % (A.encode(), TIME.encode()),
        "a value that is no JSON": b"\xff{",
        "a value that is of another run": future.replace(b"run.paused", b"command.refused")
        % (B.encode(), TIME.encode()),
        "a value without events": b'{"run":"%b","time":"%b","decided":null,"events":[]}' % (A.encode(), TIME.encode()),
        "a run that is created twice": orjson.dumps({"run": A, "time": TIME, "decided": None, "events": _created(A)}),
        "a value that does not say what it decided": orjson.dumps({"run": A, "time": TIME, "events": _again()}),
    }
    for what, value in broken.items():
        log = Partition()
        log.fence("a")
        log.put(log.commit(A, _created(A), decided=0))
        bad = log.put(log.commit_of(value, A), "unreadable")
        log.put(log.commit(A, _ended(), prev=bad.headers["ce_id"]), "after_unreadable")
        log.put(log.commit(A, _created(A), prev="genesis"), "after_unreadable")
        log.put(log.commit(B, _created(B), decided=1))
        yield Vector(f"{what}: nothing more of its run counts, and other runs go on", log)


def _never_created() -> Vector:
    log = Partition()
    log.fence("a")
    log.put(log.commit(A, _again(), decided=0), "unreadable")
    log.put(log.commit(A, _created(A), decided=0), "after_unreadable")
    log.put(log.commit(B, _created(B), decided=1))
    return Vector("a first commit that does not create its run", log)


def _late_copies() -> Vector:
    log = Partition()
    old = log.fence("a")
    first = log.put(log.commit(A, [*_created(A), *_ended()], decided=3))
    log.put(log.commit(B, [*_created(B), *_ended()], decided=6))
    log.put(log.commit(NEW, [*_created(NEW), *_ended()], decided=4))
    log.put(log.commit(C, _created(C), decided=5))
    unknown = log.commit(D, _created(D), decided=5)
    for part in log.parts(commands=6, clock=_LATER):
        log.put(part, "checkpoint")
    log.put(first, "late")
    log.put(log.commit(B, _created(B), decided=7), "ended")
    log.put(log.commit(NEW, _created(NEW), decided=7), "ended")
    log.put(unknown, "late")
    log.put(_with(unknown, decided="6"), "late")
    log.put(log.commit(C, _ended(), decided=2))
    log.put(log.commit(D, _created(D), decided=6))
    log.put(log.commit(D, _again(), epoch=old, decided=1))
    return Vector("late copies of first commits, after a checkpoint at which ended runs were forgotten", log)


def _half_a_checkpoint() -> Vector:
    log = Partition()
    log.fence("a")
    log.put(log.commit(A, _created(A), decided=0))
    log.put(log.commit(B, [*_created(B), *_ended()], decided=3))
    one, other = log.parts(commands=9, clock=_LATER - 120_000)
    log.put(one, "checkpoint")
    log.put(one, "checkpoint")
    log.fence("b")
    log.put(other, "checkpoint")
    log.put(one, "checkpoint")
    log.put(log.commit(C, _created(C), decided=1))
    one, other = log.parts(commands=9, clock=_LATER - 120_000)
    log.put(other, "checkpoint")
    log.put(log.commit(D, _created(D), decided=2))
    log.put(one, "checkpoint")
    log.put(log.commit(NEW, _created(NEW), decided=8), "late")
    log.put(log.commit(NEW, _created(NEW), decided=9))
    return Vector("a checkpoint says nothing before all its parts are there under one fence", log)


def _middle() -> Vector:
    log = Partition()
    log.fence("a")
    log.put(log.commit(A, _created(A), decided=0))
    log.put(log.commit(B, [*_created(B), *_ended()], decided=1))
    one, other = log.parts(commands=2, clock=_MADE)
    log.put(log.commit(C, _created(C), decided=2))
    log.put(one, "checkpoint")
    log.put(log.commit(A, _again()))
    log.put(other, "checkpoint")
    log.put(log.commit(C, _ended()))
    log.fence("b")
    log.put(log.commit(B, _created(B), decided=3), "ended")
    log.put(log.commit(D, _created(D), decided=1), "late")
    log.put(log.commit(D, _created(D), decided=4))
    second = len(log.records)
    for part in log.parts(commands=5, clock=_MADE):
        log.put(part, "checkpoint")
    log.put(log.commit(A, _ended()))
    log.put(log.commit(D, _ended()))
    begins = {0: None, 3: None, 8: 4, second: 4, len(log.records): second}
    return Vector("beginning in the middle", log, begins)


def _unusable() -> Vector:
    log = Partition()
    log.fence("a")
    log.put(log.commit(A, _created(A), decided=0))
    (whole,) = log.parts(commands=1, clock=_MADE)
    log.put(whole, "checkpoint")
    log.put(log.commit(B, _created(B), decided=1))
    (damaged,) = log.parts(commands=2, clock=_MADE)
    third = len(log.records)
    log.put(damaged._replace(value=damaged.value.replace(b'"number":42', b'"number":43')), "checkpoint")
    log.put(log.commit(A, _again()))
    fourth = len(log.records)
    cut = log.parts(commands=3, clock=_MADE)[0]
    log.fence("b")
    log.put(_with(log.commit(B, _again()), checkpoint=str(third)))
    log.put(_with(log.commit(A, _again(3)), checkpoint="999"))
    log.put(_with(log.commit(B, _again(3)), checkpoint="1"))
    log.put(Record("", b"", {"checkpoint": "nonsense"}), "foreign")
    log.put(_with(cut, checkpoint=str(fourth)), "checkpoint")
    log.put(_with(log.commit(A, _ended()), checkpoint=str(len(log.records) - 1)))
    return Vector(
        "checkpoints that cannot be used: damaged, written under an earlier fence, or not there",
        log,
        {3: None, 4: 2, len(log.records): 2},
    )


_REGULAR: Final = (
    _two_runs,
    _duplicates,
    _gap,
    _lost_race,
    _after_the_end,
    _before_any_fence,
    _replaced,
    _late_fence,
    _other_nonce,
    _holes,
    _changed_values,
    _changed_headers,
    _changed_copies,
    _foreign,
    _never_created,
)
_CHECKPOINTED: Final = (_late_copies, _half_a_checkpoint, _middle, _unusable)
