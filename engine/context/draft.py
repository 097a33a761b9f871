"""A draft: a context while it is made, which is never much larger than a context may be. Pure.

Copies share what they copy, so a few dozen of them make a value of more parts than any machine has memory for. What is
put in is therefore weighed before anything walks the whole.
"""

from typing import Final

from engine.context.errors import ContextCountError, ContextDepthError, ContextSizeError
from engine.context.paths import remove_at, set_at
from engine.context.scales import Scales
from engine.context.values import Path, Wire, WireObject
from engine.limits import DRAFT_BYTES_MAX, DRAFT_DEPTH_MAX, DRAFT_VALUES_MAX
from engine.meter import Meter

_STEPS_PER_CHANGE: Final = 4
_COPIED_PER_STEP: Final = 32


class Draft:
    """A context that is made from another one, change by change.

    Args:
        context: What it begins as; is left as it is.
        meter: Is charged for what is copied and weighed.

    Attributes:
        context: What it has become.
    """

    def __init__(self, context: WireObject, meter: Meter) -> None:
        self.context = context
        self._meter = meter
        self._scales = Scales(meter)
        # What it began as is weighed only when so much was put in that it matters: mostly it never is.
        self._bytes = DRAFT_BYTES_MAX // 2
        self._values = DRAFT_VALUES_MAX // 2

    def set(self, segments: Path, value: Wire) -> None:
        """Put a value at a path, which may be a part of the draft itself; see `set_at`.

        Raises:
            ContextSizeError: The draft would have too many bytes.
            ContextCountError: It would have too many values.
            ContextDepthError: It would have too many containers inside each other.
            ContextError: Nothing can stand there.
            StepsError: It takes too many steps.
        """
        weight = self._scales.weigh(value)
        if len(segments) + weight.depth > DRAFT_DEPTH_MAX:
            raise ContextDepthError(
                f"expected at most {DRAFT_DEPTH_MAX} containers inside each other meanwhile, but found more."
            )
        self._charge(segments)
        self.context = set_at(self.context, segments, value)
        self._bytes += weight.bytes + sum(len(segment) + 4 for segment in segments if isinstance(segment, str))
        self._values += weight.values + len(segments)
        if self._bytes > DRAFT_BYTES_MAX or self._values > DRAFT_VALUES_MAX:
            self._bytes, self._values, _ = self._scales.weigh(self.context)
            if self._bytes > DRAFT_BYTES_MAX:
                raise ContextSizeError(f"expected at most {DRAFT_BYTES_MAX:,} bytes as JSON meanwhile, but found more.")
            if self._values > DRAFT_VALUES_MAX:
                raise ContextCountError(f"expected at most {DRAFT_VALUES_MAX:,} values meanwhile, but found more.")

    def remove(self, segments: Path) -> None:
        """Remove what stands at a path; nothing happens when nothing does.

        Raises:
            StepsError: It takes too many steps.
        """
        self._charge(segments)
        self.context = remove_at(self.context, segments)

    def _charge(self, segments: Path) -> None:
        """Charge for a change: every container on its way is copied, and compared with what it was in the end."""
        copied = 0
        here: Wire = self.context
        for segment in segments:
            if isinstance(here, dict) and isinstance(segment, str):
                copied += len(here)
                here = here.get(segment)
            elif isinstance(here, list) and isinstance(segment, int):
                copied += len(here)
                here = here[segment] if segment < len(here) else None
            else:
                break
        self._meter.charge(_STEPS_PER_CHANGE + copied // _COPIED_PER_STEP)
