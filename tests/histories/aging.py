"""Logs as an earlier version of Runline would have left them: some events in forms that nobody writes any more."""

from collections.abc import Callable, Mapping
from itertools import cycle
from typing import Final

import orjson

from engine.core.records import COMMIT, commit_id
from engine.core.state import GENESIS
from engine.core.upcasters import Fields, Upcaster, Upcasters, types_of_today
from engine.log.port import EVENTS, TOPICS, LogRecord, Record
from tests.simulation.log import SimulatedLog

Form = Callable[[Fields], Fields]


def _first(fields: Fields) -> Fields:
    """The first version had what the node changed by name, and where it went as one text."""
    way = fields["way"]
    assert isinstance(way, list)
    return {**_without(fields, "way"), "output": way[0], "following": way[1]}


def _second(fields: Fields) -> Fields:
    """The second version called the next node otherwise."""
    return {**_without(fields, "following"), "next": fields["following"]}


def _third(fields: Fields) -> Fields:
    """The third version had a text only where there was something to say."""
    return {"message": "", **fields}


def _ended(fields: Fields) -> Fields:
    """The end of a run was once called otherwise, and so was what it held."""
    return {"output": fields["result"]}


EARLIER: Final = Upcasters(
    types_of_today(),
    (
        Upcaster("trace.finished", "trace.finished.v2", _first),
        Upcaster("trace.finished.v2", "trace.finished.v3", _second),
        Upcaster("trace.finished.v3", "trace.succeeded", _third),
        Upcaster("run.finished", "run.succeeded", _ended),
    ),
)
"""A type with three versions before it got today's name, and one with another name."""


def _without(fields: Fields, *names: str) -> dict[str, object]:
    return {name: value for name, value in fields.items() if name not in names}


def _as_third(fields: Fields) -> Fields:
    return fields if fields["message"] else _without(fields, "message")


def _as_second(fields: Fields) -> Fields:
    fields = _as_third(fields)
    return {**_without(fields, "next"), "following": fields["next"]}


def _as_first(fields: Fields) -> Fields:
    fields = _as_second(fields)
    return {**_without(fields, "output", "following"), "way": [fields["output"], fields["following"]]}


class _Aging:
    """Gives each partition's commits back with older events, each event of a type in the next of its versions."""

    def __init__(self) -> None:
        forms: Mapping[str, tuple[tuple[str, Form], ...]] = {
            "trace.succeeded": (
                ("trace.finished", _as_first),
                ("trace.finished.v2", _as_second),
                ("trace.finished.v3", _as_third),
                ("trace.succeeded", lambda fields: fields),
            ),
            "run.succeeded": (("run.finished", lambda fields: {"result": fields["output"]}),),
        }
        self._forms = {kind: cycle(versions) for kind, versions in forms.items()}
        self._ids = {GENESIS: GENESIS}

    def aged(self, record: LogRecord) -> Record:
        """Return a record of `events`, in its place in the chain of its run."""
        headers = dict(record.headers)
        if headers.get("ce_type") != COMMIT:
            return Record(record.key, record.value, headers)
        value = orjson.loads(record.value)
        value["events"] = [self._event(event) for event in value["events"]]
        encoded = orjson.dumps(value)
        headers["types"] = ",".join(event["type"] for event in value["events"])
        headers["prev"] = self._ids[headers["prev"]]
        identity = commit_id(headers["prev"], headers["epoch"], encoded)
        self._ids[headers["ce_id"]] = headers["ce_id"] = identity
        return Record(record.key, encoded, headers)

    def _event(self, event: dict[str, object]) -> dict[str, object]:
        forms = self._forms.get(str(event["type"]))
        if forms is None:
            return event
        kind, form = next(forms)
        return {"type": kind, **form(_without(event, "type"))}


def aged(log: SimulatedLog) -> SimulatedLog:
    """Return the same log as it would be if an earlier version had written it; it has no checkpoints."""
    older = SimulatedLog(log.partitions, shared=log.shared)
    for topic, number in log._places:
        aging = _Aging()
        for record in log.partition(topic, number).records:
            older.land(topic, number, aging.aged(record) if topic == EVENTS else Record(*record[2:]))
    assert {topic for topic, _ in log._places} == set(TOPICS)
    return older
