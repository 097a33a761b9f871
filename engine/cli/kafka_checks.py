"""The checks of `doctor` on a log on Kafka."""

from collections.abc import Mapping

from engine.cli.checks import Check
from engine.errors import RunlineError
from engine.executor.executor import GROUP
from engine.log.kafka import KafkaLocation, parse_location
from engine.log.kafka.admin import client_versions, count_brokers, count_members
from engine.log.kafka.topics import plan_topics


def check_kafka(data: str, properties: Mapping[str, str]) -> list[Check]:
    """Look at the client, the brokers, the topics and the executors."""
    location = parse_location(data)
    client = Check("client", ok=True, found=client_versions())
    brokers = check_brokers(location, properties)
    if not brokers.ok:
        return [client, brokers]
    return [client, brokers, check_topics(location, properties), check_executors(location, properties)]


def check_brokers(location: KafkaLocation, properties: Mapping[str, str]) -> Check:
    """Look whether the brokers answer."""
    try:
        count = count_brokers(location, properties)
    except RunlineError as error:
        return Check("brokers", ok=False, found=str(error))
    return Check("brokers", ok=True, found=f"{count} at {location.brokers}")


def check_topics(location: KafkaLocation, properties: Mapping[str, str]) -> Check:
    """Look whether the topics are as they must be."""
    try:
        plan = plan_topics(location, properties)
    except RunlineError as error:
        return Check("topics", ok=False, found=str(error))
    if plan.steps:
        names = ", ".join(dict.fromkeys(step.topic for step in plan.steps))
        return Check("topics", ok=False, found=f"{names} must be made or changed; `runline topics plan` says how")
    return Check("topics", ok=True, found=f"those of {location} are as they must be, {plan.partitions} partitions")


def check_executors(location: KafkaLocation, properties: Mapping[str, str]) -> Check:
    """Look how many executors there are; none is no fault, but runs wait for one."""
    try:
        count = count_members(location, properties, GROUP)
    except RunlineError as error:
        return Check("executors", ok=False, found=str(error))
    none = "" if count else "; runs wait until `runline executor` or a program with a registry is started"
    return Check("executors", ok=True, found=f"{count} in the group {location.group(GROUP)}{none}")
