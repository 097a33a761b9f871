"""Trouble: whether the brokers can be reached, said once when they are lost and once when they are back."""

import logging
import threading
import time
from typing import Final

from confluent_kafka import KafkaError

from engine.log.kafka.failures import DENIED, is_fatal

_LOGGER: Final = logging.getLogger("runline.kafka")

_DENIED_SECONDS: Final = 3.0
"""How long a refusal stands against answers: of several brokers one may refuse every attempt, and others answer."""
_SILENT_SECONDS: Final = 60.0
"""What has not been heard for so long is news."""
_KNOWN_MAX: Final = 1_000


class Trouble:
    """Hears, in any thread, what the clients say of the brokers, each for itself and for every attempt to connect.

    What one client says may be late, or over already, so brokers count as lost once they do not answer a question.

    Args:
        brokers: As in the location.
    """

    def __init__(self, brokers: str) -> None:
        self._brokers = brokers
        self._lock = threading.Lock()
        self._text = ""
        self._doubted = False
        self._stands_until = 0.0
        self._known: dict[str, float] = {}

    @property
    def text(self) -> str:
        """What keeps the brokers from being reached now, or an empty text."""
        return f"Kafka at {self._brokers}: {self._text}" if self._text else ""

    @property
    def questioned(self) -> bool:
        """Whether the brokers should be asked for a sign of life."""
        return self._doubted

    def notice(self, error: KafkaError) -> None:
        """Hear of what concerns no single record or partition."""
        now = time.monotonic()
        with self._lock:
            if error.code() in DENIED or is_fatal(error):
                self._doubted = True
                self._begin(error.str())
                self._stands_until = now + _DENIED_SECONDS
            elif error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 - the library's public name
                self._doubted = True
                self._stands_until = max(self._stands_until, now)
            else:
                level = logging.INFO if self._is_news(error, now) and not self._text else logging.DEBUG
                _LOGGER.log(level, "Kafka at %s: %s", self._brokers, error.str())

    def answered(self, asked: float) -> None:
        """Take note that the brokers have answered what they were asked at this moment."""
        with self._lock:
            if asked <= self._stands_until:
                return
            self._doubted = False
            if self._text:
                _LOGGER.warning("Kafka at %s answers again", self._brokers)
                self._text = ""

    def unanswered(self) -> None:
        """Take note that the brokers did not answer what they were asked."""
        with self._lock:
            self._begin(self._text or "no broker can be reached")

    def _begin(self, text: str) -> None:
        if not self._text:
            _LOGGER.error("Kafka at %s: %s", self._brokers, text)
        self._text = text

    def _is_news(self, error: KafkaError, now: float) -> bool:
        """Return whether this client of a broker has not long been heard saying so: it goes on for every attempt."""
        who = f"{error.str().partition(': ')[0]} {error.code()}"
        if len(self._known) > _KNOWN_MAX:
            self._known.clear()
        heard = self._known.get(who)
        self._known[who] = now
        return heard is None or now > heard + _SILENT_SECONDS
