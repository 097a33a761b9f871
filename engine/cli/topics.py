"""`topics plan` and `topics apply`: the topics of a log on Kafka, as they are and as they must be."""

from dataclasses import dataclass
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from engine.cli.exit_codes import OPEN, SUCCESS
from engine.cli.failures import ArgumentsError
from engine.cli.options import ReadingOptions
from engine.cli.output import Output
from engine.log.kafka import KafkaLocation, parse_location
from engine.log.kafka.topics import REPLICAS_MAX, Plan, apply_topics, plan_topics
from engine.settings import Settings

topics = App(name="topics", help_format="plaintext")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class TopicsOptions(ReadingOptions):
    """What the commands about topics take."""

    partitions: Annotated[
        int | None,
        Parameter(
            name="--partitions",
            validator=Number(gte=1),
            help="Partitions of commands and of events [those that are there, or 12]",
        ),
    ] = None
    replication: Annotated[
        int | None,
        Parameter(
            name="--replication",
            validator=Number(gte=1, lte=REPLICAS_MAX),
            help="Replicas of topics to create [3, or one per broker]",
        ),
    ] = None


TOPICS_OPTIONS = TopicsOptions()


@topics.command
def plan(*, options: TopicsOptions = TOPICS_OPTIONS) -> int:
    """Print what differs from the topics that the log needs, a line each; exit code 1 when something does."""
    output = options.output()
    settings = options.load().settings
    found = plan_topics(_location(settings), settings.kafka, options.partitions, options.replication)
    _print(output, found, "nothing is to be done")
    return OPEN if found.steps or found.notes else SUCCESS


@topics.command
def apply(*, options: TopicsOptions = TOPICS_OPTIONS) -> int:
    """Do what `plan` prints; nothing at all when some of it only people can put right."""
    output = options.output()
    settings = options.load().settings
    done = apply_topics(_location(settings), settings.kafka, options.partitions, options.replication)
    _print(output, done, "nothing was to be done")
    return SUCCESS


def _location(settings: Settings) -> KafkaLocation:
    if not isinstance(settings.data, str):
        raise ArgumentsError(
            f"Expected a log on Kafka, which has topics, but found the directory {settings.data}.",
            hint="Name it with --data kafka://HOST:PORT/PREFIX.",
        )
    return parse_location(settings.data)


def _print(output: Output, plan: Plan, otherwise: str) -> None:
    for step in plan.steps:
        output.line(str(step))
    for note in plan.notes:
        output.line(note, "yellow")
    if not plan.steps:
        said = "the rest is as it must be" if plan.notes else otherwise
        output.line(f"{said}, {plan.partitions} partitions")
    output.document(
        {
            "partitions": plan.partitions,
            "steps": [
                {"action": step.action, "topic": step.topic, "text": step.text, "settings": step.settings}
                for step in plan.steps
            ],
            "notes": plan.notes,
        }
    )
