"""The scales: how large a value is with all its shared parts written out, found without writing them out. Pure."""

from typing import Final, NamedTuple

from engine.context.known import Known
from engine.context.values import Wire, WireList, WireObject
from engine.meter import Meter

_VALUES_PER_STEP: Final = 4


class Weight(NamedTuple):
    """The size of a value.

    Attributes:
        bytes: So many bytes at least it takes as JSON: its characters and its punctuation.
        values: Values inside it, at all depths.
        depth: Containers inside each other, itself among them; 0 when it is none.
    """

    bytes: int
    values: int
    depth: int


class Scales:
    """Weighs values of one context after the other; what was weighed before is not looked at again.

    Args:
        meter: Is charged for what is looked at.
    """

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._known: Known[Weight] = Known()

    def weigh(self, value: Wire) -> Weight:
        """Return the size of a value.

        Raises:
            StepsError: Looking at it takes too many steps.
        """
        if isinstance(value, (dict, list)):
            self._known.trim()
            return self._container(value)
        return Weight(len(value) + 2 if isinstance(value, str) else 1, 0, 0)

    def _container(self, container: WireObject | WireList) -> Weight:
        known = self._known.of(container)
        if known is not None:
            return known
        self._meter.charge(1 + len(container) // _VALUES_PER_STEP)
        bytes_, values, depth = 1 + len(container), len(container), 0
        if isinstance(container, dict):
            bytes_ += sum(map(len, container)) + 3 * len(container)
        for inner in container.values() if isinstance(container, dict) else container:
            if isinstance(inner, (dict, list)):
                weight = self._container(inner)
                bytes_ += weight.bytes
                values += weight.values
                depth = max(depth, weight.depth)
            else:
                bytes_ += len(inner) + 2 if isinstance(inner, str) else 1
        weight = Weight(bytes_, values, depth + 1)
        self._known.keep(container, weight)
        return weight
