"""A bundle: one run's whole history in one file, with the proof that it is part of a log whose root can be stored.

The file is JSON: what log and partition it is of, the workflow's definition, the run's records with the fences that
decide which of them count, and for each record its way to the root of its range and for each range its way to the root
of the partition.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, cast

from engine.limits import BUNDLE_BYTES_MAX
from engine.log.port import EVENTS, LogRecord
from projections.audit.errors import BundleError
from projections.audit.fields import Fields, Refuse, as_hash, read_json
from projections.audit.merkle import Place, Range, Sum
from projections.audit.wire import JsonObject, canonical

KIND: Final = "runline.bundle"
FORMAT: Final = 1
"""The version of the file."""
_NAMES: Final = {
    "kind", "format", "digest", "log", "partition", "partitions", "run", "definition", "root", "size", "ranges",
    "records",
}  # fmt: skip


@dataclass(frozen=True)
class ProvedRange:
    """A range, and its way to the partition's root.

    Attributes:
        index: Its number among the partition's ranges, from 0.
        range: The range.
        proof: The siblings on its way to the root.
    """

    index: int
    range: Range
    proof: Sequence[Sum]


@dataclass(frozen=True)
class ProvedRecord:
    """A record, and its way to the root of its range."""

    record: LogRecord
    proof: Sequence[bytes]


@dataclass(frozen=True)
class Bundle:
    """A run's bundle.

    Attributes:
        place: The partition of the log that it is of.
        run: The run.
        definition: The canonical JSON of its workflow version.
        root: The root of the partition when the bundle was made.
        size: How many ranges the partition had.
        ranges: The ranges of its records, in order.
        records: The run's records and the fences, in order.
        digest: The hash that the file gives for all the rest of it.
    """

    place: Place
    run: str
    definition: bytes
    root: bytes
    size: int
    ranges: Sequence[ProvedRange]
    records: Sequence[ProvedRecord]
    digest: bytes = b""

    def json(self) -> JsonObject:
        """Return it as it stands in a file."""
        data: JsonObject = {
            "kind": KIND,
            "format": FORMAT,
            "log": self.place.identity,
            "partition": self.place.partition,
            "partitions": self.place.partitions,
            "run": self.run,
            "definition": self.definition.decode(),
            "root": self.root.hex(),
            "size": self.size,
            "ranges": [_range_json(each) for each in self.ranges],
            "records": [
                record_json(each.record) | {"proof": [one.hex() for one in each.proof]} for each in self.records
            ],
        }
        return {**data, "digest": digest_of(data).hex()}

    def expected_digest(self) -> bytes:
        """Return the hash over all that the bundle says."""
        data = self.json()
        del data["digest"]
        return digest_of(data)


def digest_of(data: Mapping[str, object]) -> bytes:
    """Return the hash over a bundle's JSON, without its digest."""
    return sha256(canonical(data)).digest()


def read_bundle(path: Path) -> Bundle:
    """Return the bundle in a file.

    Raises:
        BundleError: It is none, or was cut or made by hand; the text says what was expected where.
    """

    def refuse(text: str) -> BundleError:
        return BundleError(f"{path}: {text}", hint="Name a file that `runline export RUN` wrote.")

    return parse_bundle(read_json(path, BUNDLE_BYTES_MAX, refuse), refuse)


def parse_bundle(data: object, refuse: Refuse) -> Bundle:
    """Return the bundle in JSON data."""
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise refuse(f"expected a bundle, an object with kind {KIND!r}, but found none.")
    whole = Fields(data, "", _NAMES, refuse)
    if whole.number("format") != FORMAT:
        raise refuse(f"expected format {FORMAT}, but found {whole.number('format')}.")
    place = Place(whole.text("log"), EVENTS, whole.number("partition"), whole.number("partitions", 1))
    return Bundle(
        place,
        whole.text("run"),
        _encoded(whole, "definition", refuse),
        whole.hash("root"),
        whole.number("size", 1),
        [_range(*each, refuse) for each in whole.list("ranges")],
        [_record(*each, refuse) for each in whole.list("records")],
        whole.hash("digest"),
    )


def record_json(record: LogRecord) -> JsonObject:
    """Return a record as it stands in a bundle: its value is a text, or in base64 where it is none."""
    try:
        value, text = "value", record.value.decode()
    except UnicodeDecodeError:
        value, text = "base64", base64.b64encode(record.value).decode()
    return {
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": record.key,
        "headers": dict(record.headers),
        value: text,
    }


def record_of(data: Mapping[str, object]) -> LogRecord:
    """Return a record from what `record_json` gave."""
    value = data.get("value")
    return LogRecord(
        cast("int", data["offset"]),
        cast("int", data["timestamp"]),
        cast("str", data["key"]),
        value.encode() if isinstance(value, str) else base64.b64decode(cast("str", data["base64"])),
        cast("Mapping[str, str]", data["headers"]),
    )


def _record(place: str, data: object, refuse: Refuse) -> ProvedRecord:
    as_text = not (isinstance(data, dict) and "base64" in data)
    names = {"offset", "timestamp", "key", "headers", "value" if as_text else "base64", "proof"}
    fields = Fields(data, place, names, refuse)
    value = _encoded(fields, "value", refuse) if as_text else _decoded(fields.text("base64"), refuse)
    record = LogRecord(
        fields.number("offset"),
        fields.number("timestamp", -1),
        fields.text("key"),
        value,
        dict(fields.texts("headers")),
    )
    return ProvedRecord(record, [as_hash(item, where, refuse) for where, item in fields.list("proof")])


def _range(place: str, data: object, refuse: Refuse) -> ProvedRange:
    fields = Fields(data, place, {"index", "start", "end", "fences", "root", "proof"}, refuse)
    stretch = Range(fields.number("start"), fields.number("end"), fields.number("fences"), fields.hash("root"))
    return ProvedRange(fields.number("index"), stretch, [_sum(*each, refuse) for each in fields.list("proof")])


def _sum(place: str, data: object, refuse: Refuse) -> Sum:
    fields = Fields(data, place, {"hash", "fences"}, refuse)
    return Sum(fields.hash("hash"), fields.number("fences"))


def _range_json(each: ProvedRange) -> JsonObject:
    stretch = each.range
    return {
        "index": each.index,
        "start": stretch.start,
        "end": stretch.end,
        "fences": stretch.fences,
        "root": stretch.root.hex(),
        "proof": [{"hash": one.hash.hex(), "fences": one.fences} for one in each.proof],
    }


def _encoded(fields: Fields, name: str, refuse: Refuse) -> bytes:
    try:
        return fields.text(name).encode()
    except UnicodeEncodeError as error:
        raise refuse(f"expected valid Unicode text as {name}, but {error}.") from error


def _decoded(text: str, refuse: Refuse) -> bytes:
    try:
        value = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise refuse(f"expected base64, but {error}.") from error
    try:
        value.decode()
    except UnicodeDecodeError:
        if base64.b64encode(value).decode() == text:
            return value
    raise refuse("expected base64 in its one form, and only of bytes that are no text.")
