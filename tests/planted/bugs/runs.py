"""Bugs in how runs are moved: attempts, outcomes, ends, wake-ups."""

from typing import Final

from tests.planted.planting import Bug, Edit

_TERM = "engine.executor.term:Term."
_DRAFT = "engine.core.decide:_Draft."
_ATTEMPTS = "engine.executor.attempts:Attempts."

RUNS: Final = (
    Bug(
        "act-before-read-back",
        "a node is run as soon as its start was sent",
        (
            Edit(
                _TERM + "_propose",
                "    self._pending[run_id] = Proposal(record, inputs, decision.recognised)",
                "    self._pending[run_id] = Proposal(record, inputs, decision.recognised)\n"
                "    import json\n"
                "    from engine.core.evolve import evolve\n"
                "    events = [json.loads(event) for event in decision.events]\n"
                "    after = evolve(state, events, run_id, time)\n"
                "    for event in events:\n"
                "        if event['type'] == 'trace.started' and event.get('executor') == self._executor:\n"
                "            self._start(after, event['trace'])\n",
            ),
        ),
        "a-commit-is-lost",
        1,
    ),
    Bug(
        "same-attempt-again",
        "what a lost executor worked on is started again under the same number",
        (Edit(_DRAFT + "retry", "trace.attempt + 1", "trace.attempt"),),
        "an-executor-dies-at-work",
        1,
    ),
    Bug(
        "lost-attempts-not-retried",
        "what a lost executor worked on is not started again",
        (Edit(_TERM + "_resume", "if lost:", "if False:"),),
        "an-executor-dies-at-work",
        1,
    ),
    Bug(
        "others-attempts-kept",
        "a process takes for its own what another one has started again",
        (
            # Each makes up for the other.
            Edit(_ATTEMPTS + "holds", "held is not None and held.trace.attempt == trace.attempt", "held is not None"),
            Edit(
                _ATTEMPTS + "release_all_but", "trace.number == number and trace.attempt == held.trace.attempt", "True"
            ),
        ),
        "an-owner-comes-back-to-what-another-one-started-again",
        1,
    ),
    Bug(
        "result-of-another-attempt-taken",
        "the outcome of an older attempt counts as that of the current one",
        (Edit(_DRAFT + "conclude", "trace.number == outcome.trace and trace.attempt == outcome.attempt", "True"),),
        "an-outcome-of-an-older-attempt-is-decided",
        1,
    ),
    Bug(
        "result-applied-twice",
        "the success of a node is written twice",
        (
            Edit(
                _DRAFT + "conclude",
                "outcome.changes, outcome.output, outcome.message)",
                "outcome.changes, outcome.output, outcome.message)\n                "
                "self._add_success(trace.number, node, outcome.changes, outcome.output, outcome.message)",
            ),
        ),
        "storm",
        20,
    ),
    Bug(
        "key-differs-with-attempt",
        "a node that is tried again gets another idempotency key",
        (Edit(_ATTEMPTS + "start", "idempotency_key=identity", 'idempotency_key=f"{identity}-{trace.attempt}"'),),
        "storm",
        40,
    ),
    Bug(
        "decided-behind-the-end",
        "what comes in one decision with the end of a run is decided, too",
        (Edit("engine.core.decide:decide", "if draft.ended or draft.full():", "if draft.full():"),),
        "the-last-outcome-comes-with-a-cancellation",
        1,
    ),
    Bug(
        "lost-wake-up-behind-a-commit",
        "what came while a commit was on its way is forgotten when it was read back",
        (Edit(_TERM + "_read_back", "if run_id in self._inbox and run_id not in self._pending:", "if False:"),),
        "storm",
        50,
    ),
    Bug(
        "lost-wake-up-behind-a-refusal",
        "what came while a refusal was on its way is forgotten when it was acknowledged",
        (Edit(_TERM + "_unblock", "self._due[run_id] = None", "pass"),),
        "commands-wait-behind-a-refusal",
        1,
    ),
    Bug(
        "ownership-as-an-event",
        "an executor whose fence was overtaken goes on as if it owned the partition",
        (
            Edit(_TERM + "_fence", "if self.view.epoch != self._epoch:", "if False:"),
            Edit(_TERM + "_read_events", "if self.view.epoch != self._epoch:", "if False:"),
        ),
        "somebody-fences-and-does-nothing",
        1,
    ),
)
