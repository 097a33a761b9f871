"""`follow`: calls progress services with every change of a log until it is told to stop."""

import asyncio
import logging
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from consumers.cli.lags import draw_lags, rows_of
from consumers.cli.options import GroupOptions
from consumers.host.delivery import Service
from consumers.host.host import ServiceHost
from consumers.host.lag import Lag
from consumers.host.loading import load_services
from consumers.host.opening import open_progress, read_group, reset_group
from consumers.host.standing import check_topic
from consumers.host.start import Start
from consumers.host.wanted import STATUS_OF, Wanted
from engine.change import RUN_TYPES, TRACE_TYPES
from engine.cli.exit_codes import RUN_FAILED, SUCCESS
from engine.cli.failures import ArgumentsError
from engine.cli.interruption import Interruptible, StoppedError
from engine.cli.logs import configure_logs
from engine.cli.moments import parse_moment
from engine.cli.output import Output, printing_aside
from engine.cli.reading import open_reading
from engine.limits import FOLLOW_ATTEMPTS, FOLLOW_CONCURRENT, FOLLOW_DEATHS, FOLLOW_LINE_SECONDS
from engine.log.errors import LogUnreachableError
from engine.log.port import EVENTS
from engine.settings import Settings

_LOGGER = logging.getLogger("runline.follow")

_RETRY_SECONDS: Final = 1.0
"""Pause between two attempts to reach the brokers; each attempt is patient itself."""
_STATUSES: Final = sorted({status.value for status in STATUS_OF.values()})
_EVENT_TYPES: Final = (*RUN_TYPES, *TRACE_TYPES)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class FollowOptions(GroupOptions):
    """What `follow` takes."""

    service: Annotated[
        list[str] | None,
        Parameter(
            name="--service", negative="", help="[NAME=]module:Class or file.py:Class; any number, called in turn"
        ),
    ] = None
    start: Annotated[
        list[str] | None,
        Parameter(
            name="--from",
            negative="",
            help="Where new services begin: beginning, now, a time, or PARTITION:OFFSET any number of times [now]",
        ),
    ] = None
    reset: Annotated[
        bool,
        Parameter(
            name="--reset",
            negative="",
            show_default=False,
            help="Forget how far the services have come, and what they parked",
        ),
    ] = False
    workflow: Annotated[
        list[str] | None, Parameter(name="--workflow", negative="", help="Only runs of this workflow; any number")
    ] = None
    status: Annotated[
        list[str] | None,
        Parameter(name="--status", negative="", help="Only changes to this status, such as failed; any number"),
    ] = None
    type: Annotated[
        list[str] | None,
        Parameter(name="--type", negative="", help="Only events of this type, such as run.succeeded; any number"),
    ] = None
    concurrent: Annotated[
        int, Parameter(name="--concurrent", validator=Number(gte=1), help="Runs that a service is called for at once")
    ] = FOLLOW_CONCURRENT
    timeout: Annotated[
        float | None,
        Parameter(
            name="--timeout", validator=Number(gt=0), help="Seconds after which an asynchronous call is cancelled"
        ),
    ] = None
    attempts: Annotated[
        int, Parameter(name="--attempts", validator=Number(gte=1), help="Calls for a change before it is parked")
    ] = FOLLOW_ATTEMPTS
    after_parking: Annotated[
        Literal["hold", "go-on"],
        Parameter(name="--after-parking", help="Whether later changes of a run wait behind a parked one"),
    ] = "hold"
    deaths: Annotated[
        int,
        Parameter(name="--deaths", validator=Number(gte=1), help="Ends of the process in a call before it is parked"),
    ] = FOLLOW_DEATHS
    own_loops: Annotated[
        bool,
        Parameter(
            name="--own-loops",
            negative="",
            show_default=False,
            help="Give each asynchronous service an event loop of its own: one that blocks it stops no other",
        ),
    ] = False
    adopt: Annotated[
        bool,
        Parameter(
            name="--adopt", negative="", show_default=False, help="Follow without services that the group had before"
        ),
    ] = False
    lag: Annotated[
        bool,
        Parameter(name="--lag", negative="", show_default=False, help="Print how far the group is behind, and end"),
    ] = False


FOLLOW_OPTIONS = FollowOptions()


def follow(*, options: FollowOptions = FOLLOW_OPTIONS) -> int:
    """Call progress services with every change until SIGTERM or Ctrl-C; on Kafka any number of hosts share the work."""
    output = options.output()
    settings = options.load().settings
    if options.lag:
        return Interruptible().run(_print_lag(options, settings, output))
    if not options.service:
        raise ArgumentsError("Expected a service to call.", hint="Name it with --service module:Class.")
    configure_logs(verbose=options.verbose, service=True)
    start = parse_start(options.start or ["now"], datetime.now(UTC))
    wanted = _wanted(options)
    try:
        with printing_aside(as_json=options.json):
            services = load_services(options.service)
            return Interruptible().run(_follow(options, settings, services, start, wanted))
    except StoppedError as stopped:
        name = signal.Signals(stopped.signal).name
        _LOGGER.info("Stopped by %s; how far the services have come is recorded", name)
        output.document({"data": str(settings.data), "group": options.group, "signal": name})
        return SUCCESS


async def _follow(
    options: FollowOptions, settings: Settings, services: dict[str, Service], start: Start, wanted: Wanted
) -> int:
    directory = options.directory(settings)
    reset = options.reset
    while True:
        try:
            async with open_reading(settings) as log:
                if beyond := [number for number in start.offsets if number >= log.partitions]:
                    raise ArgumentsError(
                        f"Expected partitions from 0 to {log.partitions - 1} in --from, but found {beyond[0]}."
                    )
                if reset:
                    await reset_group(log, options.group, directory, tuple(services))
                    reset = False
                host = ServiceHost(
                    log,
                    services,
                    open_progress(log, options.group, directory),
                    start=start,
                    wanted=wanted,
                    concurrent=options.concurrent,
                    timeout=options.timeout,
                    attempts=options.attempts,
                    hold=options.after_parking == "hold",
                    deaths=options.deaths,
                    own_loops=options.own_loops,
                    adopt=options.adopt,
                )
                async with host:
                    _LOGGER.info("Following %s as group %s with %s", settings.data, options.group, ", ".join(services))
                    await _until_failure(host)
        except LogUnreachableError as error:
            _LOGGER.warning("%s Trying again", error)
        await asyncio.sleep(_RETRY_SECONDS)


async def _until_failure(host: ServiceHost) -> None:
    """Say now and then how far the services are behind, until the host cannot go on."""
    saying = asyncio.create_task(_say_lag(host))
    try:
        await host.failure()
    finally:
        saying.cancel()


async def _say_lag(host: ServiceHost) -> None:
    said: Sequence[str] = ()
    while True:
        await asyncio.sleep(FOLLOW_LINE_SECONDS)
        try:
            lines = _lines(await host.lag())
        except LogUnreachableError as error:
            lines = [str(error)]
        for line in lines if lines != said else ():
            _LOGGER.info("%s", line)
        said = lines


def _lines(lags: Sequence[Lag]) -> list[str]:
    """Return one line for each service."""
    lines: list[str] = []
    for name in dict.fromkeys(lag.service for lag in lags):
        own = [lag for lag in lags if lag.service == name]
        behind, waiting, parked = (
            sum(numbers) for numbers in zip(*((g.behind, g.open, g.parked) for g in own), strict=True)
        )
        blocked = sum(lag.blocked for lag in own)
        stopped = sum(bool(lag.trouble) for lag in own)
        trouble = f", {stopped} of {len(own)} partitions in trouble" if stopped else ""
        trouble += f", blocked its event loop for {blocked:.1f} s" if blocked else ""
        lines.append(f"{name} is {behind} records behind, {waiting} changes open, {parked} parked{trouble}")
    return lines


async def _print_lag(options: FollowOptions, settings: Settings, output: Output) -> int:
    async with open_reading(settings) as log:
        progress, parked = await read_group(log, options.group, options.directory(settings))
        # In a partition without services nobody was at work since --reset, whichever log that was.
        followed = {number: each for number, each in progress.items() if each.services}
        for topic_id in sorted({each.topic_id for each in followed.values()}):
            await check_topic(log, topic_id)
        ends = {number: (await log.ends(EVENTS, number)).end for number in followed}
    rows = rows_of(progress, parked, ends)
    output.draw(draw_lags(rows))
    output.document({"group": options.group, "services": [row._asdict() for row in rows]})
    return RUN_FAILED if parked else SUCCESS


def parse_start(texts: Sequence[str], now: datetime) -> Start:
    """Return where to begin.

    Args:
        texts: What was given as `--from`.
        now: With a time zone.

    Raises:
        ArgumentsError: A text names no place.
    """
    offsets: dict[int, int] = {}
    for text in texts:
        partition, colon, offset = text.partition(":")
        if colon and all(number.isascii() and number.isdecimal() for number in (partition, offset)):
            offsets[int(partition)] = int(offset)
    if len(offsets) == len(texts):
        return Start.from_offsets(offsets)
    if len(texts) > 1:
        raise ArgumentsError(
            "Expected --from once, or PARTITION:OFFSET for different partitions, but found " + ", ".join(texts) + "."
        )
    match texts[0]:
        case "beginning":
            return Start.beginning()
        case "now":
            return Start.now()
        case text:
            return Start.at(parse_moment("--from (or beginning, now, PARTITION:OFFSET)", text, now))


def _wanted(options: FollowOptions) -> Wanted:
    statuses = [status.capitalize() for status in options.status or ()]
    if strange := [status for status in statuses if status not in _STATUSES]:
        known = ", ".join(_STATUSES).lower()
        raise ArgumentsError(f"Expected one of {known} as --status, but found {strange[0][:80]!r}.")
    if unknown := [event for event in options.type or () if event not in _EVENT_TYPES]:
        known = ", ".join(_EVENT_TYPES)
        raise ArgumentsError(f"Expected one of {known} as --type, any number of times, but found {unknown[0][:80]!r}.")
    return Wanted(frozenset(options.workflow or ()), frozenset(statuses), frozenset(options.type or ()))
