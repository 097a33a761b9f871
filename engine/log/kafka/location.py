"""Where a log on Kafka is: the brokers to ask first, and the prefix of its topics."""

import re
from typing import Final, NamedTuple

from engine.errors import LogError
from engine.log.kafka.properties import MASK

SCHEME: Final = "kafka://"
DEFAULT_PREFIX: Final = "runline"
_BROKER: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
_PREFIX: Final = re.compile(r"[A-Za-z0-9._-]{1,200}")
_PORT_MAX: Final = 65_535


class KafkaLocation(NamedTuple):
    """The brokers and the prefix of a log's topics.

    Attributes:
        brokers: `host:port`, separated by commas: `bootstrap.servers` of every client.
        prefix: Begins the names of the topics: `<prefix>.events`.
    """

    brokers: str
    prefix: str

    def topic(self, name: str) -> str:
        """Return the name on Kafka of one of the log's topics."""
        return f"{self.prefix}.{name}"

    def group(self, name: str) -> str:
        """Return the name on Kafka of one of the log's groups."""
        return f"{self.prefix}.{name}"

    def followers(self, name: str) -> str:
        """Return the name on Kafka of a group of services that follow the log."""
        return self.group(f"followers.{name}")

    def __str__(self) -> str:
        """Return the location as it is written in settings."""
        return f"{SCHEME}{self.brokers}/{self.prefix}"


def parse_location(text: str) -> KafkaLocation:
    """Read a location such as `kafka://broker-1:9092,broker-2:9092/orders`.

    Raises:
        LogError: It is not of this form; the text names the part that is wrong.
    """
    form = f"expected {SCHEME}HOST:PORT[,HOST:PORT...][/PREFIX]"
    if "@" in text:
        # What stands before it may be a password, and whoever writes one may write any of its characters unescaped.
        shown = f"{SCHEME if text.startswith(SCHEME) else ''}{MASK}@{text.rpartition('@')[2]}"
        raise LogError(
            f"{form}, but found {shown!r:.200}: nobody's name or password can stand here.",
            hint="Give them as the properties sasl.username and sasl.password.",
        )
    expected = f"{form}, but found {text!r:.200}"
    if not text.startswith(SCHEME):
        raise LogError(f"{expected}.")
    brokers, slash, prefix = text.removeprefix(SCHEME).partition("/")
    for broker in brokers.split(","):
        match = _BROKER.fullmatch(broker)
        if match is None or not 0 < int(match[2]) <= _PORT_MAX:
            raise LogError(f"{expected}: {broker!r:.100} is not HOST:PORT.")
    if not slash:
        prefix = DEFAULT_PREFIX
    if _PREFIX.fullmatch(prefix) is None:
        raise LogError(f"{expected}: the prefix {prefix!r:.100} is not 1 to 200 letters, digits, '.', '_' or '-'.")
    return KafkaLocation(brokers, prefix)
