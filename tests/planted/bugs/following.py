"""Bugs of those who follow the log: hosts of services, and projections."""

from typing import Final

from tests.planted.planting import Bug, Edit

FOLLOWING: Final = (
    Bug(
        "position-ahead-of-delivery",
        "how far a service has come is how far its changes were read",
        (
            Edit(
                "consumers.host.track:Track.progress",
                "tuple(sorted({*self._open, *self._again}))",
                "()",
            ),
        ),
        "a-host-dies-while-a-call-hangs",
        1,
    ),
    Bug(
        "failed-call-counts-as-dealt-with",
        "a service that raises is not called again",
        (
            Edit(
                "consumers.host.attempts:Attempts._try",
                "return text_of(error)[:FOLLOW_ERROR_CHARACTERS_MAX]",
                "return None",
            ),
        ),
        "a-service-fails-at-first",
        1,
    ),
    Bug(
        "changes-of-a-run-side-by-side",
        "a change is delivered while the one before is",
        (
            Edit("consumers.host.follower:Follower._put", "if lane is None:", "if True:"),
            Edit("consumers.host.follower:Follower._work", "del self._lanes[run_id]", "self._lanes.pop(run_id, None)"),
        ),
        "a-service-takes-longest-over-what-comes-first",
        1,
    ),
    Bug(
        "run-goes-on-past-a-parked-change",
        "what comes behind a parked change does not wait",
        (
            Edit(
                "consumers.host.follower:Follower._park",
                "if held:\n        self._held",
                "if False:\n        self._held",
            ),
        ),
        "a-change-is-parked",
        1,
    ),
    Bug(
        "another-history-gone-on-with",
        "a service does not look whether the last record that it read is still there",
        (Edit("consumers.host.standing:check_standing", "if last is None or", "if True or"),),
        "records-are-lost-that-a-service-has-read",
        1,
    ),
    Bug(
        "position-stored-before-rows",
        "how far a projection has come is written before its rows",
        (
            Edit(
                "projections.partition_fold:PartitionFold._write",
                "position.put(batch, self.position)",
                "early = self._store.batch()\n"
                "        position.put(early, self.position)\n"
                "        self._store.write(early)",
            ),
        ),
        "a-projector-dies-between-two-writes",
        1,
    ),
    Bug(
        "projection-skips-when-it-goes-on",
        "a projection that goes on passes over what was written meanwhile",
        (
            Edit(
                "projections.partition_fold:PartitionFold._catch_up",
                "self._partition, self.position.offset, end, take",
                "self._partition, end if self.position.offset else 0, end, take",
            ),
            Edit(
                "projections.partition_fold:PartitionFold._follow",
                "self._partition, self.position.offset)",
                "self._partition, max(self._scanned, self.position.offset))",
            ),
        ),
        "a-projector-dies-and-another-goes-on",
        1,
    ),
    Bug(
        "ended-runs-not-stored",
        "a projection that keeps ended runs in its store does not put them there",
        (
            Edit(
                "projections.partition_fold:PartitionFold._write",
                'batch.put(ENDED, stretch.run_id.encode(), b"")',
                "pass",
            ),
        ),
        "a-first-commit-lands-again-behind-a-batch",
        1,
    ),
)
