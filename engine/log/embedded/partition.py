"""One partition of the embedded log: where it ends, and who reads it."""

from typing import TYPE_CHECKING

from engine.log.embedded.layout import place_key

if TYPE_CHECKING:
    from engine.log.embedded.reader import EmbeddedReader


class Partition:
    """One partition of one topic.

    Attributes:
        topic: The topic.
        number: The partition's number.
        index: Its place among all partitions of the log.
        prefix: How its keys begin in the store.
        end: The offset behind its last durable record; belongs to the event loop.
        following: The offset that the next record gets; belongs to the committer.
        readers: Who wants to see new records; belongs to the event loop.
    """

    __slots__ = ("end", "following", "index", "number", "prefix", "readers", "topic")

    def __init__(self, topic: str, number: int, index: int) -> None:
        self.topic = topic
        self.number = number
        self.index = index
        self.prefix = place_key(topic, number)
        self.end = 0
        self.following = 0
        self.readers: dict[EmbeddedReader, None] = {}

    def __str__(self) -> str:
        """Return its name for people."""
        return f"topic {self.topic}, partition {self.number}"
