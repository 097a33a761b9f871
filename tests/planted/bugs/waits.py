"""Bugs in what callers are told."""

from typing import Final

from tests.planted.planting import Bug, Edit

_TERM = "engine.executor.term:Term."

WAITS: Final = (
    Bug(
        "waiter-takes-an-unaccepted-end",
        "a waiting caller is given what was sent, not what was accepted",
        (
            Edit(
                _TERM + "_propose",
                "    self._pending[run_id] = Proposal(record, inputs, decision.recognised)",
                "    self._pending[run_id] = Proposal(record, inputs, decision.recognised)\n"
                "    import json\n"
                "    from engine.core.evolve import evolve\n"
                "    value = json.loads(record.value)\n"
                "    after = evolve(state, value['events'], run_id, time)\n"
                "    after.head = record.headers['ce_id']\n"
                "    self._listener.accepted(Accepted(after.head, 0, value, state, after))\n",
            ),
        ),
        "a-commit-is-lost-and-somebody-waits-for-its-run",
        1,
    ),
    Bug(
        "waiters-mixed-up",
        "an ended run answers everybody who waits",
        (
            Edit(
                "engine.waiters:Waiters.accepted",
                "self._by_run.get(accepted.after.run_id, ())",
                "[waiter for waiters in self._by_run.values() for waiter in waiters]",
            ),
        ),
        "storm",
        40,
    ),
    Bug(
        "waiter-registered-too-late",
        "a waiting caller is registered after the run was looked at",
        (
            Edit(
                "engine.requests:Requests._followed",
                "    self._waiters.add(run_id, waiter)\n"
                "    try:\n"
                "        state = await follow()\n"
                "        try:\n"
                "            begun(state)\n",
                "    import asyncio\n"
                "    try:\n"
                "        state = await follow()\n"
                "        try:\n"
                "            begun(state)\n"
                "            await asyncio.sleep(0.1)\n"
                "            self._waiters.add(run_id, waiter)\n",
            ),
        ),
        "storm",
        50,
    ),
    Bug(
        "timeout-ignored",
        "who waits waits until there is an answer",
        (Edit("engine.requests:Requests._wait", "if timeout is None:", "if True:"),),
        "a-run-does-not-end-in-time",
        1,
    ),
    Bug(
        "refused-without-a-reason",
        "a caller who is refused is not told why",
        (
            Edit(
                "engine.requests:require_going_on",
                'RunEndedError(f"Expected a run that goes on, but {run_id} is in {status.value}.")',
                'RunEndedError("")',
            ),
        ),
        "an-ended-run-is-cancelled",
        1,
    ),
    Bug(
        "own-start-taken-for-anothers",
        "who starts a run is told that it was started before",
        (
            Edit(
                "engine.waiters:Waiter._look_for_command",
                'event.get("command") == command',
                'event.get("command") == command and not self._starts',
            ),
        ),
        "a-run-is-created-and-then-started",
        1,
    ),
)
