"""The embedded log: records in a directory of this machine, durable, for one process."""

from engine.log.embedded.log import Durability, EmbeddedLog
from engine.log.embedded.reader import EmbeddedReader
from engine.log.embedded.reading import ReadOnlyLog

__all__ = ["Durability", "EmbeddedLog", "EmbeddedReader", "ReadOnlyLog"]
