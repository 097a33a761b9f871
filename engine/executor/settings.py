"""What the owners of an executor's partitions have in common."""

from typing import NamedTuple

from engine.catalogue import Catalogue
from engine.executor.attempts import Attempts
from engine.executor.listener import Listener
from engine.executor.traffic import Traffic
from engine.log.port import Log
from engine.ports import Clock, Ids


class Settings(NamedTuple):
    """What the owners of an executor's partitions have in common."""

    executor: str
    source: str
    log: Log
    catalogue: Catalogue
    attempts: Attempts
    clock: Clock
    ids: Ids
    listener: Listener
    traffic: Traffic
