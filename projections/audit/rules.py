"""The rules that a log must keep to, each under a stable word."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Rule(StrEnum):
    """What a violation is a violation of; the words never change."""

    LOG_DAMAGED = "log_damaged"
    OFFSET_GAP = "offset_gap"
    TIMESTAMP_BACK = "timestamp_back"
    HISTORY_GONE = "history_gone"
    RECORD_UNKNOWN = "record_unknown"
    RECORD_LARGE = "record_large"
    PARTITION_WRONG = "partition_wrong"
    HEADER_MISSING = "header_missing"
    HEADER_WRONG = "header_wrong"
    VALUE_MALFORMED = "value_malformed"
    COMMIT_ID = "commit_id"
    COMMIT_EPOCH = "commit_epoch"
    COMMIT_FORK = "commit_fork"
    COMMIT_LARGE = "commit_large"
    RUN_CREATED = "run_created"
    RUN_STARTED = "run_started"
    RUN_REVIVED = "run_revived"
    RUN_STUCK = "run_stuck"
    AFTER_END = "after_end"
    TRACE_NUMBER = "trace_number"
    TRACE_ATTEMPT = "trace_attempt"
    TRACE_NOT_OPEN = "trace_not_open"
    TRACE_LEFT_OPEN = "trace_left_open"
    TRACE_PATH = "trace_path"
    CONTEXT_CHANGE = "context_change"
    OUTPUT_DIFFERS = "output_differs"
    TIME_BACK = "time_back"
    DECIDED_ORDER = "decided_order"
    DECIDED_UNKNOWN = "decided_unknown"
    EVENT_UNKNOWN = "event_unknown"
    WORKFLOW_MISSING = "workflow_missing"
    WORKFLOW_VERSION = "workflow_version"
    FENCE_NONCE = "fence_nonce"
    CHECKPOINT_ID = "checkpoint_id"
    CHECKPOINT_EPOCH = "checkpoint_epoch"
    CHECKPOINT_PARTS = "checkpoint_parts"
    CHECKPOINT_STATE = "checkpoint_state"
    CHECKPOINT_ENDED = "checkpoint_ended"
    CHECKPOINT_BACK = "checkpoint_back"
    CHECKPOINT_NAMED = "checkpoint_named"
    REJECTION_PLACE = "rejection_place"
    ROOT_DIFFERS = "root_differs"
    LOG_DIFFERS = "log_differs"
    BUNDLE_PROOF = "bundle_proof"
    BUNDLE_FENCES = "bundle_fences"
    BUNDLE_DEFINITION = "bundle_definition"
    BUNDLE_CONTENTS = "bundle_contents"
    ROOT_UNKNOWN = "root_unknown"


MEANINGS: Final[Mapping[Rule, str]] = {
    Rule.LOG_DAMAGED: "the log can be read at every offset",
    Rule.OFFSET_GAP: "offsets follow each other without a hole, in order, each once",
    Rule.TIMESTAMP_BACK: "the log's own time never goes back within a partition, but for a minute",
    Rule.HISTORY_GONE: "`events` is there from offset 0",
    Rule.RECORD_UNKNOWN: "a record is of a type and under a key that its topic has",
    Rule.RECORD_LARGE: "a record is not larger than any record may be",
    Rule.PARTITION_WRONG: "a run's records are in the partition that its id belongs to",
    Rule.HEADER_MISSING: "every header that the schema requires is there",
    Rule.HEADER_WRONG: "every header has its form and agrees with the key, the value and the run",
    Rule.VALUE_MALFORMED: "a value is JSON with the fields that the schema requires",
    Rule.COMMIT_ID: "a commit's id is the SHA-256 over its predecessor, its epoch and its value",
    Rule.COMMIT_EPOCH: "a commit's epoch is that of a fence before it",
    Rule.COMMIT_FORK: "a commit under the current epoch follows the run's last one; only an exact copy may come again",
    Rule.COMMIT_LARGE: "a commit has at least one event and at most as many as any may have",
    Rule.RUN_CREATED: "a run begins with `run.created`, which comes once",
    Rule.RUN_STARTED: "`run.started` comes at most once, and before any trace",
    Rule.RUN_REVIVED: "a run that has ended is never begun again, even when its id may be forgotten",
    Rule.RUN_STUCK: "behind every commit a started run has a node under way, a node to enter, or has ended",
    Rule.AFTER_END: "nothing comes after the one event that ends a run",
    Rule.TRACE_NUMBER: "traces are numbered 1, 2, 3 ..., not beyond the workflow's limit",
    Rule.TRACE_ATTEMPT: "attempts of a trace are counted up by one",
    Rule.TRACE_NOT_OPEN: "a trace ends, or is tried again, only while it is open",
    Rule.TRACE_LEFT_OPEN: "no trace is open when the run ends",
    Rule.TRACE_PATH: "a run goes from node to node along the connections of its workflow version",
    Rule.CONTEXT_CHANGE: "every change fits the context it changes",
    Rule.OUTPUT_DIFFERS: "the output is the context as the events before made it, where the workflow maps nothing else",
    Rule.TIME_BACK: "no commit is older than the run's creation, but for a minute",
    Rule.DECIDED_ORDER: "the `commands` offsets that a run's commits decide rise",
    Rule.DECIDED_UNKNOWN: "a commit decides only what is on `commands`",
    Rule.EVENT_UNKNOWN: "every event is of a type that this version knows; the run is not judged any further",
    Rule.WORKFLOW_MISSING: "the workflow version of every run is on `workflows`",
    Rule.WORKFLOW_VERSION: "a published version is canonical JSON, and its SHA-256 is its version, header and key",
    Rule.FENCE_NONCE: "a fence's nonce stands in its header, its value and its id, and is used once",
    Rule.CHECKPOINT_ID: "a part's id is the SHA-256 over what its headers say and its value",
    Rule.CHECKPOINT_EPOCH: "a part's epoch is that of a fence before it",
    Rule.CHECKPOINT_PARTS: "the parts of a checkpoint agree with each other, and lie behind what they sum up",
    Rule.CHECKPOINT_STATE: "a checkpoint holds every open run as the events below its start make it, and no other",
    Rule.CHECKPOINT_ENDED: "a checkpoint holds every ended run that may not be forgotten, and none that did not end",
    Rule.CHECKPOINT_BACK: "start, C and T of checkpoints never go back",
    Rule.CHECKPOINT_NAMED: "the checkpoint that a record names is complete before it",
    Rule.REJECTION_PLACE: "a rejection says where the refused bytes stood, and how many they were",
    Rule.ROOT_DIFFERS: "a range has the root that was written down earlier",
    Rule.LOG_DIFFERS: "the log is the one whose roots were written down, and not shorter than then",
    Rule.BUNDLE_PROOF: "every record of a bundle is in the tree whose root the bundle names",
    Rule.BUNDLE_FENCES: "a bundle has every fence from the one its first commit names to its last record",
    Rule.BUNDLE_DEFINITION: "a bundle's definition is the version that the run was created with",
    Rule.BUNDLE_CONTENTS: "a bundle has the run's commits, from the first on, and nothing else but fences",
    Rule.ROOT_UNKNOWN: "the roots that were written down cover the ranges of the bundle",
}
"""What holds when a rule is kept."""
