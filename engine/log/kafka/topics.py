"""The topics: how they must be, how they are, and the plan that leads from the one to the other."""

import time
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its own list of public names is not complete
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from engine.limits import (
    KAFKA_ANSWER_SECONDS_MAX,
    KAFKA_COMMANDS_RETENTION_HOURS,
    KAFKA_COMMANDS_RETENTION_HOURS_MIN,
    KAFKA_MESSAGE_BYTES_MAX,
    KAFKA_PARTITIONS,
    KAFKA_REPLICAS,
    PARTITIONS_MAX,
)
from engine.log.errors import PlaceUnknownError, TopicsError
from engine.log.kafka.admin import Admin, make_admin
from engine.log.kafka.failures import from_kafka, replicas_refused
from engine.log.kafka.location import KafkaLocation
from engine.log.kafka.published import published_partitions
from engine.log.place import PARTITIONED, check_partitions
from engine.log.port import COMMANDS, EVENTS, PARKED, REJECTIONS, TOPICS, WORKFLOWS

REPLICAS_MAX: Final = 10_000
"""Of a topic: more the client library does not take."""
_LOOK_SECONDS: Final = 0.05
"""How often the brokers are asked whether they know yet."""
_HOUR: Final = 3_600_000
_FOR_EVER: Final = -1


class _Rule(NamedTuple):
    """How one setting of a topic must be.

    Attributes:
        value: What a new topic gets, and what a wrong one is changed to.
        least: The least number that will do; None when only the value itself will.
        why: For people.
    """

    value: str
    least: int | None
    why: str


_SIZE: Final = _Rule(str(KAFKA_MESSAGE_BYTES_MAX), KAFKA_MESSAGE_BYTES_MAX, "the largest record must fit")
_APPENDED: Final = _Rule("LogAppendTime", None, "only the brokers' time says when a record came")
_DAYS: Final = _Rule(
    str(KAFKA_COMMANDS_RETENTION_HOURS * _HOUR),
    KAFKA_COMMANDS_RETENTION_HOURS_MIN * _HOUR,
    "what is not decided yet must not be deleted",
)
_KEPT: Final = _Rule(str(_FOR_EVER), None, "the history is the truth: nothing of it may be deleted")
_WHOLE: Final = _Rule(str(_FOR_EVER), None, "what is not decided yet must not be deleted, however much it is")
_RULES: Final[dict[str, dict[str, _Rule]]] = {
    WORKFLOWS: {
        "cleanup.policy": _Rule("compact", None, "every published version is kept"),
        "max.message.bytes": _SIZE,
        "message.timestamp.type": _APPENDED,
    },
    COMMANDS: {
        "cleanup.policy": _Rule("delete", None, "two commands about one run are both needed"),
        "retention.ms": _DAYS,
        "retention.bytes": _WHOLE,
        "max.message.bytes": _SIZE,
        "message.timestamp.type": _APPENDED,
    },
    EVENTS: {
        "cleanup.policy": _Rule("delete", None, "compaction would keep one commit of each run"),
        "retention.ms": _KEPT,
        "retention.bytes": _KEPT,
        "max.message.bytes": _SIZE,
        "message.timestamp.type": _APPENDED,
    },
    REJECTIONS: {
        "cleanup.policy": _Rule("delete", None, "two refusals of one run are both needed"),
        "retention.ms": _DAYS,
        "retention.bytes": _WHOLE,
        "max.message.bytes": _SIZE,
        "message.timestamp.type": _APPENDED,
    },
    PARKED: {
        "cleanup.policy": _Rule("compact", None, "what is parked is kept until people decide"),
        "max.message.bytes": _SIZE,
        "message.timestamp.type": _APPENDED,
    },
}
_ALL: Final = (*TOPICS, PARKED)


class Step(NamedTuple):
    """One line of a plan.

    Attributes:
        action: `create` the topic, `change` a setting, or `refuse`: only people can put it right.
        topic: The topic's name on Kafka.
        text: What is there, what is expected and why.
        settings: What the topic gets.
        partitions: Of a topic to create.
        replicas: The same.
    """

    action: Literal["create", "change", "refuse"]
    topic: str
    text: str
    settings: Mapping[str, str] = {}
    partitions: int = 0
    replicas: int = 0

    def __str__(self) -> str:
        """Return the line."""
        return f"{self.action} {self.topic}: {self.text}"


class Plan(NamedTuple):
    """What is to be done so that the topics are as they must be.

    Attributes:
        steps: In order; empty when nothing is to be done.
        partitions: Of `commands` and of `events`, when all is done.
        notes: What differs from what was asked for, and is left as it is.
    """

    steps: tuple[Step, ...]
    partitions: int
    notes: tuple[str, ...]


class _Found(NamedTuple):
    """A topic as it is."""

    partitions: int
    replicas: int
    settings: Mapping[str, str]


def plan_topics(
    location: KafkaLocation,
    properties: Mapping[str, str],
    partitions: int | None = None,
    replicas: int | None = None,
) -> Plan:
    """Compare the topics with what they must be. Blocks.

    Args:
        location: The brokers and the prefix.
        properties: The user's, for all clients.
        partitions: Of `commands` and of `events`; by default what is there, or 12.
        replicas: Of topics to create; by default 3, or as many as there are brokers. Topics that are there are
            compared with it only when it is given.

    Raises:
        LogUnreachableError: No broker answers.
        LogError: The number of partitions is none that a log can have.
    """
    if partitions is not None:
        check_partitions(partitions)
    admin = make_admin(location, properties)
    found, brokers = _look(admin, location)
    fixed = published_partitions(location, properties) if WORKFLOWS in found else None
    plan = _compare(location, found, brokers, fixed=fixed, partitions=partitions, replicas=replicas)
    if replicas is None:
        return plan
    # How many replicas there can be is for the brokers to say: those that are down count or not, as they have it.
    return plan._replace(steps=tuple(_refused_if_too_many(admin, step) for step in plan.steps))


def apply_topics(
    location: KafkaLocation,
    properties: Mapping[str, str],
    partitions: int | None = None,
    replicas: int | None = None,
) -> Plan:
    """Create and change what `plan_topics` says, and return the plan that was carried out. Blocks.

    Raises:
        TopicsError: Something is to be done that only people can do; nothing was changed.
        LogError: The brokers refuse.
    """
    plan = plan_topics(location, properties, partitions, replicas)
    if any(step.action == "refuse" for step in plan.steps):
        raise _error(location, plan)
    admin = make_admin(location, properties)
    # All of them are tried first, so that one that the brokers refuse leaves nothing half made.
    for validate_only in (True, False):
        for step in plan.steps:
            try:
                _do(admin, step, validate_only=validate_only)
            except KafkaException as exception:
                raise admin.failure(exception, f"{step.action} the topic {step.topic}") from exception
    _await_topics(admin, location, plan.partitions)
    return plan


def _do(admin: Admin, step: Step, *, validate_only: bool) -> None:
    """Let the brokers do one step, or only say whether they would."""
    if step.action == "create":
        topic = NewTopic(step.topic, step.partitions, step.replicas, config=dict(step.settings))
        made = admin.create_topics([topic], request_timeout=KAFKA_ANSWER_SECONDS_MAX, validate_only=validate_only)
        made[step.topic].result()
    else:
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
            for name, value in step.settings.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, step.topic, incremental_configs=entries)
        changed = admin.incremental_alter_configs(
            [resource], request_timeout=KAFKA_ANSWER_SECONDS_MAX, validate_only=validate_only
        )
        changed[resource].result()


def _refused_if_too_many(admin: Admin, step: Step) -> Step:
    """Return the step, or a refusal of it where the brokers are too few for its replicas."""
    if step.action != "create":
        return step
    try:
        _do(admin, step, validate_only=True)
    except KafkaException as exception:
        if (reason := replicas_refused(exception)) is not None:
            text = (
                f"{step.replicas} replicas, but the brokers say: {reason} Start more of them, or ask for fewer replicas"
            )
            return step._replace(action="refuse", text=text)
        # Whoever may look at the topics but not make any has asked for a plan.
    return step


def _await_topics(admin: Admin, location: KafkaLocation, partitions: int) -> None:
    """Wait until every broker that is asked knows what was done: the controller answers before they do."""
    until = time.monotonic() + KAFKA_ANSWER_SECONDS_MAX
    while (plan := _compare(location, *_look(admin, location), fixed=None, partitions=partitions, replicas=None)).steps:
        if time.monotonic() > until:
            raise _error(location, plan)
        time.sleep(_LOOK_SECONDS)


def require_topics(location: KafkaLocation, properties: Mapping[str, str]) -> int:
    """Return the number of partitions of a log whose topics are as they must be. Blocks.

    Raises:
        TopicsError: They are not; the text is the plan.
        LogUnreachableError: No broker answers.
    """
    plan = plan_topics(location, properties)
    if plan.steps:
        raise _error(location, plan)
    return plan.partitions


def _look(admin: Admin, location: KafkaLocation) -> tuple[dict[str, _Found], int]:
    """Return the topics that are there, by our own names, and the number of brokers.

    Of topics that were just made, and when a broker has just begun, one broker may not know yet what another one does.
    """
    until = time.monotonic() + KAFKA_ANSWER_SECONDS_MAX
    while True:
        try:
            return _look_once(admin, location)
        except PlaceUnknownError:
            if time.monotonic() > until:
                raise
            time.sleep(_LOOK_SECONDS)


def _look_once(admin: Admin, location: KafkaLocation) -> tuple[dict[str, _Found], int]:
    try:
        metadata = admin.look(None, KAFKA_ANSWER_SECONDS_MAX)
        there = [topic for topic in _ALL if location.topic(topic) in metadata.topics]
        for topic in there:
            if (error := metadata.topics[location.topic(topic)].error) is not None:
                raise from_kafka(error, f"look at the topic {location.topic(topic)}")
        resources = [ConfigResource(ResourceType.TOPIC, location.topic(topic)) for topic in there]
        described = admin.describe_configs(resources, request_timeout=KAFKA_ANSWER_SECONDS_MAX) if resources else {}
        settings = {resource.name: future.result() for resource, future in described.items()}
    except KafkaException as exception:
        raise admin.failure(exception, f"look at the topics of {location}") from exception
    found: dict[str, _Found] = {}
    for topic in there:
        name = location.topic(topic)
        parts = metadata.topics[name].partitions
        replicas = min((len(part.replicas) for part in parts.values()), default=0)
        entries = {entry.name: str(entry.value) for entry in settings[name].values()}
        found[topic] = _Found(len(parts), replicas, entries)
    return found, len(metadata.brokers)


def _compare(
    location: KafkaLocation,
    found: Mapping[str, _Found],
    brokers: int,
    *,
    fixed: int | None,
    partitions: int | None,
    replicas: int | None,
) -> Plan:
    there = [found[topic].partitions for topic in (EVENTS, COMMANDS) if topic in found]
    # What the log says of itself counts more than what its topics look like, or than what somebody wishes.
    count = next(number for number in (fixed, partitions, *there, KAFKA_PARTITIONS) if number is not None)
    copies = min(KAFKA_REPLICAS, max(brokers, 1)) if replicas is None else replicas
    steps: list[Step] = []
    notes: list[str] = []
    for topic in _ALL:
        name = location.topic(topic)
        wanted = count if topic in PARTITIONED else 1
        if topic not in found:
            settings = {key: rule.value for key, rule in _RULES[topic].items()}
            if copies >= KAFKA_REPLICAS:
                settings["min.insync.replicas"] = str(copies - 1)
            text = ", ".join([f"partitions={wanted}", f"replicas={copies}", *(f"{k}={v}" for k, v in settings.items())])
            steps.append(Step("create", name, text, settings, wanted, copies))
            continue
        is_there = found[topic]
        if is_there.partitions != wanted:
            text = (
                f"expected {wanted} partitions, but it has {is_there.partitions}: a run lives in one partition for "
                "ever, so the number never changes. Use another prefix, or the number that is there"
            )
            steps.append(Step("refuse", name, text))
        steps += _changes(name, is_there, _RULES[topic])
        if replicas is not None and is_there.replicas != replicas:
            notes.append(
                f"{name} has {is_there.replicas} replicas, not {replicas}, which `runline topics apply` cannot mend: "
                "Kafka's own tools move replicas"
            )
        elif replicas is not None and replicas >= KAFKA_REPLICAS:
            least = _Rule(str(replicas - 1), replicas - 1, "what is acknowledged must outlive a broker")
            steps += _changes(name, is_there, {"min.insync.replicas": least})
    if partitions is not None and partitions != count:
        text = f"expected {count} partitions, as when workflows were published, but {partitions} are asked for"
        steps.append(Step("refuse", location.topic(EVENTS), text))
    if not 1 <= count <= PARTITIONS_MAX:
        steps.append(Step("refuse", location.topic(EVENTS), f"expected at most {PARTITIONS_MAX} partitions"))
    return Plan(tuple(steps), count, tuple(notes))


def _changes(name: str, found: _Found, rules: Mapping[str, _Rule]) -> list[Step]:
    steps: list[Step] = []
    for key, rule in rules.items():
        value = found.settings.get(key, "")
        if not _fits(value, rule):
            least = "" if rule.least is None or rule.value == str(rule.least) else f" (at least {rule.least})"
            text = f"{key}={rule.value}{least}, but it is {value or 'unknown'}: {rule.why}"
            steps.append(Step("change", name, text, {key: rule.value}))
    return steps


def _fits(value: str, rule: _Rule) -> bool:
    if rule.least is None:
        return value == rule.value
    try:
        number = int(value)
    except ValueError:
        return False
    return number == _FOR_EVER or number >= rule.least


def _error(location: KafkaLocation, plan: Plan) -> TopicsError:
    lines = "\n".join(f"  {step}" for step in plan.steps)
    refused = any(step.action == "refuse" for step in plan.steps)
    return TopicsError(
        f"expected the topics of {location} to be as the log needs them, but this is to be done:\n{lines}\n",
        hint="What is refused only people can put right; nothing was changed."
        if refused
        else "`runline topics plan` shows this, `runline topics apply` does it.",
    )
