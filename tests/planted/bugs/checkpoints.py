"""Bugs in checkpoints: what they hold, and who begins from them."""

from typing import Final

from tests.planted.planting import Bug, Edit

_VIEW = "engine.core.view:View."
_BEGINNING = "engine.executor.beginning:"
_CHECKPOINTER = "engine.executor.checkpointer:Checkpointer."

CHECKPOINTS: Final = (
    Bug(
        "checkpoint-clock-too-late",
        "T of a checkpoint is the clock of the last command read, not the one at C",
        (Edit(_CHECKPOINTER + "write", "intake.decided, intake.decided_clock", "intake.decided, intake.clock"),),
        "starts-of-an-ended-run-wait-for-a-refusal-while-hours-pass",
        1,
    ),
    Bug(
        "checkpoint-clock-not-taken",
        "whoever begins from a checkpoint begins with no clock",
        (
            # Each makes up for the other: the parts themselves are read after what they restored.
            Edit(_VIEW + "restore", "self.clock = heading.clock", "pass"),
            Edit(_VIEW + "_forget", "self.clock = max(self.clock, heading.clock)", "pass"),
        ),
        "the-time-of-the-log-steps-back-after-a-checkpoint",
        1,
    ),
    Bug(
        "ended-runs-not-in-checkpoints",
        "a checkpoint has the open runs only",
        (Edit("engine.core.checkpoint:part_values", "for chunk in _chunks(ended):", "for chunk in ():"),),
        "storm",
        40,
    ),
    Bug(
        "begun-from-half-a-checkpoint",
        "the first part of a checkpoint is enough to begin from",
        (Edit(_BEGINNING + "_collect", "if len(parts) == heading.parts:", "if parts:"),),
        "storm",
        30,
    ),
    Bug(
        "parts-of-two-checkpoints-mixed",
        "parts are told apart by their numbers alone",
        (
            Edit(
                _BEGINNING + "_collect",
                "part is not None and (part.epoch, part.start) == (heading.epoch, heading.start)",
                "part is not None",
            ),
        ),
        "a-zombies-part-among-those-of-its-successor",
        1,
    ),
    Bug(
        "folded-from-the-first-part",
        "who begins from a checkpoint passes over what lies between its instant and its first part",
        (Edit(_BEGINNING + "_load", "View(heading.start, heading.epoch)", "View(first, heading.epoch)"),),
        "storm",
        40,
    ),
)
