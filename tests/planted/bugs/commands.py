"""Bugs about commands: what is decided, and when it is."""

from typing import Final

from tests.planted.planting import Bug, Edit

_TERM = "engine.executor.term:Term."
_ANSWERS = "engine.executor.answers:Answers."
_DRAFT = "engine.core.decide:_Draft."

COMMANDS: Final = (
    Bug(
        "no-window",
        "a run is created whatever time its id has",
        (Edit(_DRAFT + "forbids", "if distance > WINDOW_SECONDS:", "if False:"),),
        "an-ended-run-is-started-again-when-it-is-forgotten",
        1,
    ),
    Bug(
        "redelivery-not-recognised",
        "a command that is delivered again is decided again",
        (Edit(_TERM + "_ask", "if record.offset <= decided:", "if False:"),),
        "storm",
        50,
    ),
    Bug(
        "undecided-commands-counted",
        "the offset below which commands are decided is the one up to which they were read",
        (Edit("engine.executor.intake:Intake.decided", "next(iter(self._undecided), self.position)", "self.position"),),
        "storm",
        80,
    ),
    Bug(
        "refusal-counted-before-it-is-written",
        "a refused command counts as decided before the refusal is on the log",
        (
            Edit(
                _ANSWERS + "_reject",
                "    identity = None",
                "    self._settle(offset)\n    identity = None",
            ),
        ),
        "a-refusal-is-on-its-way-when-its-process-dies",
        1,
    ),
    Bug(
        "poison-dropped",
        "bytes that are no command are passed over in silence",
        (
            Edit(
                _TERM + "_ask",
                "self._answers.reject(record, command, None)",
                "self._intake.settle(record.offset)",
            ),
        ),
        "storm",
        50,
    ),
    Bug(
        "poison-stops-the-partition",
        "bytes that are no command are an error of the partition",
        (
            Edit(
                _TERM + "_ask",
                "self._answers.reject(record, command, None)",
                "raise ReplacedError",
            ),
        ),
        "storm",
        50,
    ),
    Bug(
        "decided-again-after-unknown-outcome",
        "when nobody knows whether a commit landed, its inputs are decided again",
        (
            Edit(
                _TERM + "_propose",
                "self._log.send(EVENTS, self._number, record, self._tasks.fail, patient=traffic.dense)",
                "self._log.send(EVENTS, self._number, record, lambda _: (self._pending.pop(run_id, None), "
                "[self.deliver(run_id, given) for given in inputs]), patient=traffic.dense)",
            ),
        ),
        "nobody-knows-whether-a-commit-landed",
        1,
    ),
    Bug(
        "delivery-error-swallowed",
        "nobody hears that a commit was not written",
        (
            Edit(
                _TERM + "_propose",
                "self._log.send(EVENTS, self._number, record, self._tasks.fail, patient=traffic.dense)",
                "self._log.send(EVENTS, self._number, record, lambda _: None, patient=traffic.dense)",
            ),
        ),
        "a-commit-is-lost",
        1,
    ),
)
