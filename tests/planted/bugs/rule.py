"""Bugs in the rule of the log: what counts."""

from typing import Final

from tests.planted.planting import Bug, Edit

_VIEW = "engine.core.view:View."

RULE: Final = (
    Bug(
        "no-epoch-test",
        "what an executor writes that was replaced is accepted",
        (Edit(_VIEW + "_fold_commit", "epoch is None or epoch != self.epoch", "epoch is None"),),
        "storm",
        300,
    ),
    Bug(
        "second-fence-ignored",
        "whoever fenced first owns the partition for ever",
        (
            Edit(
                _VIEW + "fold",
                "self.epoch = fence_epoch(record.offset, record.headers)",
                "self.epoch = self.epoch or fence_epoch(record.offset, record.headers)",
            ),
        ),
        "a-zombies-commit-behind-a-fence",
        1,
    ),
    Bug(
        "no-prev-test",
        "what was decided about an older state of the run is accepted",
        (
            Edit(
                _VIEW + "_fold_commit", "prev != (GENESIS if before is None else before.head) or (", "prev is None or ("
            ),
        ),
        "a-commit-lands-twice",
        1,
    ),
    Bug(
        "hash-not-checked",
        "a commit's bytes need not be those that its id was made of",
        (
            Edit(
                _VIEW + "_fold_commit",
                "identity is None or not (_is(record, sent) or identity == commit_id(prev, epoch, record.value))",
                "identity is None",
            ),
        ),
        "bytes-that-were-changed",
        1,
    ),
    Bug(
        "ended-runs-not-guarded",
        "a first commit that lands twice revives a run that has ended",
        (Edit(_VIEW + "_fold_commit", "run_id in self.ended or ", ""),),
        "a-first-commit-lands-twice",
        1,
    ),
    Bug(
        "ended-runs-forgotten-at-once",
        "the ids of ended runs are not remembered",
        (Edit(_VIEW + "_fold_commit", "self.ended[run_id] = state.decided", "pass"),),
        "storm",
        40,
    ),
    Bug(
        "forgotten-by-time-alone",
        "the id of an ended run is forgotten although its commands may come again",
        (Edit("engine.core.view:outlived", "if decided < commands and run_id < first_kept", "if run_id < first_kept"),),
        "a-first-commit-lands-again-before-its-offset-is-passed",
        1,
    ),
    Bug(
        "late-first-commits-not-guarded",
        "a first commit that lands again after its run's id was forgotten revives the run",
        (
            Edit(
                _VIEW + "_fold_commit",
                "before is None and decided is not None and decided < self.commands",
                "False",
            ),
        ),
        "a-first-commit-lands-again-when-its-run-is-forgotten",
        1,
    ),
)
