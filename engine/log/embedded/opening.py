"""Opening an embedded log: finding it, checking it against what it promised, and refusing what is not whole."""

import logging
import secrets
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from engine.errors import LogError
from engine.log.embedded.acknowledged import FILE, Acknowledged, Promises, read_promises
from engine.log.embedded.failures import damaged, from_store, from_system
from engine.log.embedded.layout import FORMAT, KEYS, META, META_KEY, RECORDS
from engine.log.embedded.lock import DirectoryLock
from engine.log.embedded.partition import Partition
from engine.log.embedded.records import StoredRecords
from engine.log.place import places
from engine.store.errors import StoreError
from engine.store.port import Store
from engine.store.rocks import RocksStore

STORE: Final = "store"
"""The folder of the store inside the log's directory."""
FAMILIES: Final = (RECORDS, KEYS)
_logger: Final = logging.getLogger("runline.log")


class Opened(NamedTuple):
    """A log that is whole and open for writing."""

    store: RocksStore
    records: StoredRecords
    acknowledged: Acknowledged
    partitions: list[Partition]


class Identity(NamedTuple):
    """What a log says about itself.

    Attributes:
        log_id: Random, 16 bytes.
        partitions: The number of partitions of `commands` and of `events`.
    """

    log_id: bytes
    partitions: int
