"""Every limit of the engine, each a constant with its unit in its name or its comment."""

from typing import Final

# Context: what flows along the connections.
CONTEXT_BYTES_MAX: Final = 256 * 1024
"""Bytes of one context as canonical JSON."""
CONTEXT_DEPTH_MAX: Final = 64
"""Containers inside each other; orjson stops at 1,024 and other readers earlier."""
CONTEXT_VALUES_MAX: Final = 100_000
"""Values of all kinds in one context."""
DRAFT_BYTES_MAX: Final = 2 * CONTEXT_BYTES_MAX
DRAFT_VALUES_MAX: Final = 2 * CONTEXT_VALUES_MAX
DRAFT_DEPTH_MAX: Final = 2 * CONTEXT_DEPTH_MAX
"""Bytes, values and depth of a context between the changes of one node: a copy, before its source is deleted."""
INTEGER_MIN: Final = -(2**63)
INTEGER_MAX: Final = 2**63 - 1
"""Integers are signed 64 bit, as every reader in every language has them."""

# Names and texts.
ID_CHARACTERS_MAX: Final = 200
"""Characters of a workflow id, node id, output name or function name."""
TITLE_CHARACTERS_MAX: Final = 1_000
ERROR_MESSAGE_CHARACTERS_MAX: Final = 4_000
"""Characters of an error message kept in an event; longer ones are cut and say so."""
TRACEBACK_CHARACTERS_MAX: Final = 20_000
"""Characters of a traceback written to the process's own log."""
TRACEBACK_EXCEPTIONS_MAX: Final = 100
TRACEBACK_FRAMES_MAX: Final = 2_000
"""Exceptions of one traceback (causes, members of groups, notes), and calls of all of them, that are looked at."""
EXPRESSION_CHARACTERS_MAX: Final = 2_000
EXPRESSION_DEPTH_MAX: Final = 100
"""Operations of one expression inside each other: far below Python's recursion limit."""
EXPRESSION_STEPS_MAX: Final = 350_000
"""Steps of one node, all its expressions together; a step is a visited value, mostly half a microsecond."""
EXPRESSION_TEXT_CHARACTERS_MAX: Final = 4 * 1024 * 1024
"""Characters of all texts that one evaluation of an expression makes, or gives as its result."""
RUN_TAGS_MAX: Final = 20
TAG_CHARACTERS_MAX: Final = 100
"""Tags of one run, and characters of one tag."""
PATH_SEGMENTS_MAX: Final = 64

# Workflow definitions.
DEFINITION_BYTES_MAX: Final = 512 * 1024
"""Bytes of a definition, as the file and as canonical JSON: both fit one record."""
DEFINITION_DEPTH_MAX: Final = 100
"""Containers inside each other in a definition's file; a node's configuration has its own, lower limit."""
DEFINITION_NODES_MAX: Final = 5_000
DEFINITION_CONNECTIONS_MAX: Final = 20_000
FINDINGS_MAX: Final = 100
"""Problems of one definition that are listed; more are only counted as more."""
SUGGESTED_AMONG_MAX: Final = 50
"""Names that a wrong one is compared with as a whole, to suggest the one that was meant."""
NODE_ITEMS_MAX: Final = 1_000
"""Entries of one list in a node's configuration: inputs, changes of one kind, cases, mappings."""
NODE_EXECUTIONS_DEFAULT: Final = 1_000
"""Node executions of one run when its workflow names no limit of its own."""
NODE_EXECUTIONS_MAX: Final = 100_000

# Commits and records.
COMMIT_EVENTS_MAX: Final = 200
"""Events of one commit; a decision that needs more goes on in the next commit."""
COMMIT_BYTES_MAX: Final = 320 * 1024
"""Bytes of a commit's value after which no further step is put into it; one step and the end always fit behind."""
COMMIT_STEPS_MAX: Final = 250_000
"""Steps of the nodes of one commit after which it enters no further one, so that other runs get their turn."""
RECORD_BYTES_MAX: Final = 1_000_000
"""Bytes of one record: key, headers and value (Kafka's client default)."""

# Checkpoints.
CHECKPOINT_PART_BYTES: Final = 512 * 1024
"""Bytes after which a checkpoint goes on in its next part."""
CHECKPOINT_BYTES_MIN: Final = 4 * 1024 * 1024
"""Bytes of log that are always read rather than checkpointed."""
CHECKPOINT_GROWTH: Final = 3
"""A checkpoint is due when the log behind the last one is this many times its size."""
CHECKPOINT_COMMANDS: Final = 50_000
"""A checkpoint is also due after this many commands were decided."""

# Duplicate starts.
WINDOW_SECONDS: Final = 3_600.0
"""How long, by the clock of the commands, an ended run's id is remembered."""

# Execution.
NODES_RUNNING_MAX: Final = 64
"""Nodes that one executor runs at once unless it is told otherwise."""
COMMANDS_UNDECIDED_MAX: Final = 4_096
COMMANDS_UNDECIDED_BYTES_MAX: Final = 4 * 1024 * 1024
"""Commands of a partition, and bytes of them, that are read but not decided before reading waits for half of that."""
PATIENT_FROM: Final = 5
"""Proposals, or waiting callers, of one process from which on their records wait a moment for each other."""
LOG_KNOWN_SECONDS_MAX: Final = 30.0
"""How long a reader waits for records that were on the log a moment ago, before it takes them for lost."""
FENCE_RETRY_SECONDS_MIN: Final = 0.05
FENCE_RETRY_SECONDS_MAX: Final = 5.0
"""Bounds of the random, growing delay before a partition is fenced again."""
CREATED_RUNS_KEPT_MAX: Final = 10_000
"""Created runs of a partition that a process remembers until they are started, so that it need not look for them."""
SEARCH_SLACK_SECONDS: Final = 60.0
"""How far the clocks of whoever makes run ids and of the brokers may be apart, mostly."""
SEARCH_NEAR_SECONDS: Final = 600.0
"""Runs whose ids are no further apart are sought in one pass at once; a pass through older times may come after it."""
SEARCH_RECORDS: Final = 5_000
SEARCH_BYTES: Final = 8 * 1024 * 1024
"""Records that a search asks the log for at once; fewer when those before them had more bytes than this."""
REVOKE_SECONDS: Final = 2.0
"""How long a partition that goes to another executor is waited for until what was sent has been read back."""
PROGRESS_STALL_SECONDS: Final = 1.0
"""A progress service whose call takes longer no longer holds up the service after it."""
PROGRESS_RETRY_SECONDS: Final = 0.1
"""First delay before a failed call of a progress service is tried again; it doubles each time."""
PROGRESS_ATTEMPTS_MAX: Final = 3
"""Calls of a progress service for one change before the change is given up, loudly."""
PROGRESS_CLOSE_SECONDS_MAX: Final = 60.0
"""How long closing waits for progress services that still deal with one change after the other."""

# The log and the stores.
PARTITIONS_MAX: Final = 1_024
"""Partitions of `commands` and of `events`."""
READ_RECORDS_MAX: Final = 500
READ_BYTES_MAX: Final = 1024 * 1024
"""Records, and bytes of records, that a reader takes from the store at once while it catches up."""
TAIL_RECORDS_MAX: Final = 8_192
TAIL_BYTES_MAX: Final = 4 * 1024 * 1024
"""Records, and bytes of values, kept in memory for one slow reader before it reads from the store again."""
FOLLOW_SECONDS: Final = 0.05
"""How often a process that reads an embedded log beside its writer looks for new records while somebody waits."""
FOLLOW_SHARE_MAX: Final = 0.1
"""Share of its time that this may take: what is not flushed yet is read anew at each look that finds something."""
GROUP_RECORDS_MAX: Final = 1_024
GROUP_BYTES_MAX: Final = 4 * 1024 * 1024
"""Records, and bytes of values, that the embedded log writes and makes durable together."""
STORE_CACHE_BYTES: Final = 16 * 1024 * 1024
"""Bytes of the one block cache that all stores of a process share."""
STORE_MEMORY_BYTES: Final = 16 * 1024 * 1024
"""Bytes of unflushed writes that one store keeps in memory."""
STORE_WAL_BYTES: Final = 32 * 1024 * 1024
"""Bytes of write-ahead log of one store, which is what an opening after a crash has to read."""
STORE_MARGIN_BYTES: Final = 1024 * 1024
"""Bytes that must be free, besides what a recovery writes, before a store that was full is written again."""
STORE_FILES_OPEN_MAX: Final = 256
"""Table files that one store keeps open."""
DRAIN_SECONDS: Final = 5.0
"""How long closing waits for what is on its way, and for a progress service that deals with no change."""
EXECUTOR_GRACE_SECONDS: Final = 8.0
"""How long nodes under way get to end when `runline executor` is told to stop; Docker kills after 10 s."""
EXECUTOR_GRACE_SECONDS_MAX: Final = 86_400.0
"""The longest such time that can be asked for."""
DISK_FREE_BYTES_MIN: Final = 256 * 1024 * 1024
"""Free bytes of the log's disk below which `runline doctor` warns."""

# Projections.
PROJECTION_BATCH_RECORDS: Final = 500
"""Records that a projection folds and writes at once."""
PROJECTION_TURN_SECONDS: Final = 0.005
"""How long projections fold before they let others run."""
VIEWS_FRESH_SECONDS: Final = 10.0
"""How long a reader waits for views that are to be as fresh as it asks, unless it says otherwise."""
VIEWS_CHANGE_SECONDS_MAX: Final = 5.0
"""How long a process waits while another one changes the list of the stores of views."""
LIST_ITEMS_MAX: Final = 1_000
"""Items of one page of a list."""
LIST_LOOKED_MAX: Final = 20_000
"""Rows that one page of a list looks at; with several filters a page may therefore be short, and the list go on."""

# Kafka.
KAFKA_WRITE_SECONDS_MAX: Final = 30.0
"""How long a record may be on its way to the brokers before its outcome counts as unknown."""
KAFKA_GATHER_MS: Final = 1.0
"""Milliseconds that a patient record waits for others to go with it."""
KAFKA_READ_SECONDS_MAX: Final = 30.0
"""How long reading a stretch of a partition may go on without a record before the brokers count as unreachable."""
KAFKA_STANDSTILL_SECONDS: Final = 15.0
"""How long a client may leave a reader without records that are there before a new client takes its place."""
KAFKA_ANSWER_SECONDS_MAX: Final = 15.0
"""How long a question to the brokers (topics, ends of partitions) may take."""
KAFKA_SESSION_SECONDS: Final = 6.0
"""How long the group waits for a sign of life of an executor unless it is told otherwise."""
KAFKA_MESSAGE_BYTES_MAX: Final = 1_040_000
"""Bytes of one record with its framing: `RECORD_BYTES_MAX`, and room below the brokers' default of 1,048,588."""
KAFKA_FETCH_BYTES_MAX: Final = 8 * 1024 * 1024
"""Bytes of one answer to a consumer; twice as much is refused, whatever it unpacks to."""
KAFKA_QUEUE_RECORDS_MAX: Final = 500_000
KAFKA_QUEUE_KIBIBYTES_MAX: Final = 512 * 1024
"""Records, and KiB, that wait in the client for the brokers; more are refused at once."""
KAFKA_FOREIGN_FETCH_BYTES_MAX: Final = 16 * 1024
"""Bytes of one answer with commands or rejections, or one batch: compressed, and strangers choose to how much more."""
KAFKA_TAKE_RECORDS: Final = 100
"""Messages that are taken from the client at once: of many more, the first are no longer in the processor's cache."""
KAFKA_TAKE_BYTES_MAX: Final = 1024 * 1024
"""Bytes of values after which no more are taken at once."""
KAFKA_FULL_SECONDS: Final = 0.01
"""How often records that wait because the client takes no more are offered to it again."""
KAFKA_FETCHERS_MAX: Final = 4
"""Stretches of partitions that one process reads at once."""
KAFKA_REVOKE_SECONDS_MAX: Final = 3.0
"""How long a rebalance waits for an executor to let go of a partition in order."""
KAFKA_PARTITIONS: Final = 12
"""Partitions of `commands` and of `events` unless told otherwise; the number never changes afterwards."""
KAFKA_REPLICAS: Final = 3
"""Copies of each partition, where there are so many brokers."""
KAFKA_COMMANDS_RETENTION_HOURS: Final = 7 * 24
KAFKA_COMMANDS_RETENTION_HOURS_MIN: Final = 24
"""How long `commands` and `rejections` are kept in new topics, and at least in any."""

# The command line.
LONG_WORK_LINE_SECONDS: Final = 10.0
"""How often long work says how far it is where no bar can be drawn; work that takes less says nothing."""

# Deciding once more.
DECISION_DIFFERENCES_MAX: Final = 100
"""Runs whose first difference is kept; all are counted."""
DECISION_REASONS_MAX: Final = 100
"""Reasons for taking something over, or for skipping it, that are told apart."""

# Replay.
REPLAY_DIFFERENCES_MAX: Final = 100
"""Rows of views that differ and are named; all are counted."""
REPLAY_PAGE_ROWS: Final = 1_000
REPLAY_PAGE_BYTES: Final = 4 * 1024 * 1024
"""Rows that are compared at once; fewer when their values have more bytes than this."""

# Audit.
AUDIT_RANGE_RECORDS: Final = 8_192
"""Offsets of one range of a Merkle tree; a range begins at a multiple of it."""
AUDIT_VIOLATIONS_SHOWN: Final = 100
"""Violations of one partition that are named; all are counted."""
AUDIT_READ_RECORDS: Final = 2_000
AUDIT_READ_BYTES: Final = 8 * 1024 * 1024
"""Records that the audit asks the log for at once; fewer when those before them had more bytes than this."""
AUDIT_AHEAD_RECORDS: Final = 4_000
"""Records that reading is ahead of folding, so that a checkpoint is seen before the place it sums up is folded."""
AUDIT_AHEAD_BYTES: Final = 32 * 1024 * 1024
"""Bytes of values after which reading waits for folding, however few records they are."""
AUDIT_SAVE_RECORDS: Final = 8_192
"""Records after which an audit writes down where it is."""
AUDIT_CHECKPOINTS_OPEN_MAX: Final = 16
"""States of a partition that wait for the parts that name them."""
AUDIT_CLOCKS_SECONDS: Final = 60.0
"""How far the clocks of brokers, and those of executors, may be apart before times that go back are violations."""
AUDIT_DAMAGED_MAX: Final = 1_000
"""Unreadable offsets of a partition after which the audit leaves the rest of it."""
BUNDLE_BYTES_MAX: Final = 256 * 1024 * 1024
"""Bytes of a bundle that is read; it is held in memory."""
ROOTS_BYTES_MAX: Final = 256 * 1024 * 1024
"""Bytes of a file with roots that is read."""

# Pictures.
GRAPH_FINE_NODES_MAX: Final = 150
GRAPH_FINE_CONNECTIONS_MAX: Final = 200
"""Nodes and connections of a picture up to which the layout takes all its trouble; beyond, only the fast part of it."""
GRAPH_WAYPOINTS_MAX: Final = 50_000
"""Places that the connections of a picture may pass between their ends, one for each layer of nodes they cross."""

# Following.
FOLLOW_CONCURRENT: Final = 16
"""Runs whose changes one service is called with at once, unless it is told otherwise."""
FOLLOW_OPEN_CHANGES_MAX: Final = 256
FOLLOW_OPEN_BYTES_MAX: Final = 8 * 1024 * 1024
"""Changes, and bytes of their contexts, that wait for one service in one partition before reading waits for it."""
FOLLOW_SERVICES_MAX: Final = 16
"""Services of one group: the progress of all of them fits what Kafka keeps with an offset."""
FOLLOW_METADATA_BYTES_MAX: Final = 4_096
"""Bytes that Kafka keeps with the offset of a group (`offset.metadata.max.bytes`)."""
FOLLOW_STALL_SECONDS: Final = 1.0
"""A service that takes longer for a change no longer holds up the services after it, for that run."""
FOLLOW_ATTEMPTS: Final = 5
"""Calls of a service for one change before the change is parked."""
FOLLOW_RETRY_SECONDS_MIN: Final = 0.1
FOLLOW_RETRY_SECONDS_MAX: Final = 10.0
"""The first delay before a failed call is repeated, and the longest: it doubles each time."""
FOLLOW_SAVE_SECONDS: Final = 1.0
"""How often progress is recorded while there is any."""
FOLLOW_SAVE_CHANGES: Final = 1_000
"""Changes after which it is recorded sooner."""
FOLLOW_UNSAVED_CHANGES_MAX: Final = 8_000
"""Changes that one service takes in a partition beyond what is recorded of it: so many are repeated at most."""
FOLLOW_DEATHS: Final = 3
"""Ends of the process in one call of a service, all of them seen, before the change is parked."""
FOLLOW_NOTED_CALLS_MAX: Final = 256
"""Calls in a partition that are under way at once while calls are written down before they are made."""
FOLLOW_SUSPECT_SECONDS: Final = 10.0
"""How long a call in which a process ended before keeps the others of this kind waiting."""
FOLLOW_WATCH_SECONDS: Final = 1.0
"""How often a host looks whether its event loop goes on."""
FOLLOW_BLOCKED_SECONDS: Final = 2.0
"""How long it may stand still before the host says whose call blocks it."""
FOLLOW_DRAIN_SECONDS: Final = 2.0
"""How long letting go of a partition waits for the calls under way."""
FOLLOW_PARKED_MAX: Final = 1_000
"""Parked changes of one service in one partition, after which it stops there: it is at fault, not the changes."""
FOLLOW_ERROR_CHARACTERS_MAX: Final = 1_000
"""Characters of an error that are kept with a parked change."""
FOLLOW_ASKED_SECONDS: Final = 0.5
"""How often the host of an embedded log looks whether people ask for something."""
FOLLOW_LINE_SECONDS: Final = 30.0
"""How often `runline follow` says how far its services are behind, if that has changed."""
FOLLOW_TURN_RECORDS: Final = 500
"""Records that a follower reads at once while it folds without delivering."""

# Webhooks.
WEBHOOK_CONNECT_SECONDS: Final = 10.0
"""How long finding the endpoint's address, connecting and TLS may take."""
WEBHOOK_SECONDS: Final = 20.0
"""How long one request may take in all, unless it is told otherwise."""
WEBHOOK_ANSWER_BYTES_MAX: Final = 4 * 1024
"""Bytes of an answer's body that are read; the connection of one with more is closed."""
WEBHOOK_ANSWER_CHARACTERS_SHOWN: Final = 200
"""Characters of a failed answer's body that its error shows."""
WEBHOOK_PATIENCE_SECONDS: Final = 3 * 24 * 3600.0
"""How long an endpoint may take nothing before changes fail: a weekend."""
WEBHOOK_PAUSE_SECONDS_MIN: Final = 1.0
WEBHOOK_PAUSE_SECONDS_MAX: Final = 300.0
"""The pauses between attempts to reach an endpoint that is away: the first one, and the longest."""
WEBHOOK_REFUSALS: Final = 5
"""Times that an endpoint refuses a change, taking others in between, before the change fails: it is at fault then."""
WEBHOOK_RETRY_AFTER_SECONDS_MAX: Final = 60.0
"""The longest pause that an endpoint is given when it asks for one with `Retry-After`."""
WEBHOOK_SECRETS_MAX: Final = 4
"""Secrets that a webhook is signed with at once, while one replaces another."""
WEBHOOK_SECRET_BYTES_MIN: Final = 24
WEBHOOK_SECRET_BYTES_MAX: Final = 64
"""Bytes of a secret, as the Standard Webhooks specification has them."""
