"""What is known of containers: found out once for each, however many parts of a value share it. Pure."""

from typing import Final, Generic, TypeVar

from engine.context.values import WireList, WireObject
from engine.limits import CONTEXT_VALUES_MAX

_KEPT_VALUES_MAX: Final = 4 * CONTEXT_VALUES_MAX

KnownT = TypeVar("KnownT")


class Known(Generic[KnownT]):
    """Remembers something about containers by their identity, and keeps them, so that no other one gets it.

    Wire values are never changed in place, so what was true of a container stays true.
    """

    __slots__ = ("_kept", "_values")

    def __init__(self) -> None:
        self._kept: dict[int, tuple[WireObject | WireList, KnownT]] = {}
        self._values = 0

    def of(self, container: WireObject | WireList) -> KnownT | None:
        """Return what is known of the container, or None."""
        entry = self._kept.get(id(container))
        return None if entry is None else entry[1]

    def keep(self, container: WireObject | WireList, known: KnownT) -> None:
        """Remember something about a container."""
        self._kept[id(container)] = container, known
        self._values += len(container)

    def trim(self) -> None:
        """Forget everything when the containers that are kept have become many: most of them were replaced since."""
        if self._values > _KEPT_VALUES_MAX:
            self._kept.clear()
            self._values = 0
