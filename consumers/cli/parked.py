"""`parked list`, `show`, `retry` and `skip`: what services could not deal with, and what is to become of it."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

from cyclopts import App, Parameter
from rich.table import Table
from rich.text import Text

from consumers.cli.options import GROUP_OPTIONS, GroupOptions
from consumers.host.errors import ParkedNotFoundError
from consumers.host.opening import ask_group, read_group
from consumers.host.parked import Action, Parked, Request
from engine.cli.exit_codes import SUCCESS
from engine.cli.failures import ArgumentsError
from engine.cli.interruption import Interruptible
from engine.cli.output import Output
from engine.cli.reading import open_reading
from engine.cli.text import one_line

parked = App(name="parked", help_format="plaintext")

_ERROR_CHARACTERS = 60
ServiceOption = Annotated[str | None, Parameter(name="--service", help="Only of this service")]
AllOption = Annotated[bool, Parameter(name="--all", negative="", show_default=False, help="All that is parked")]


@parked.command(name="list")
def list_parked(*, service: ServiceOption = None, options: GroupOptions = GROUP_OPTIONS) -> int:
    """List what is parked, with the error of the last call. Works beside a running host."""
    output = options.output()
    found = [each for each in _read(options) if service in (None, each.service)]
    output.draw(_table(found))
    output.document({"group": options.group, "parked": [asdict(each) for each in found]})
    return SUCCESS


@parked.command
def show(event: str, /, *, service: ServiceOption = None, options: GroupOptions = GROUP_OPTIONS) -> int:
    """Print all that is known of one parked change.

    Parameters
    ----------
    event
        The change's event id, or the beginning of it.
    """
    output = options.output()
    (found,) = _find(_read(options), event, service, one=True)
    for name, value in asdict(found).items():
        output.line(f"{name:<11} {value}")
    output.document(asdict(found))
    return SUCCESS


@parked.command
def retry(
    event: str = "",
    /,
    *,
    service: ServiceOption = None,
    everything: AllOption = False,
    options: GroupOptions = GROUP_OPTIONS,
) -> int:
    """Let a host deliver a parked change again, and what is held behind it, in order.

    Parameters
    ----------
    event
        The change's event id, or the beginning of it.
    """
    return _ask("retry", event, service, options, everything=everything)


@parked.command
def skip(
    event: str = "",
    /,
    *,
    service: ServiceOption = None,
    everything: AllOption = False,
    options: GroupOptions = GROUP_OPTIONS,
) -> int:
    """Let a host forget a parked change, and deliver what is held behind it, in order.

    Parameters
    ----------
    event
        The change's event id, or the beginning of it.
    """
    return _ask("skip", event, service, options, everything=everything)


def _ask(action: Action, event: str, service: str | None, options: GroupOptions, *, everything: bool) -> int:
    output: Output = options.output()
    if everything == bool(event):
        raise ArgumentsError("Expected the event id of a parked change, or --all.")
    parked = _read(options)
    if everything and service is not None:
        _check_service(parked, service)
    found = _find(parked, event, service, one=False)
    settings = options.load().settings

    async def work() -> int:
        async with open_reading(settings) as log:
            for each in found:
                await ask_group(log, options.group, options.directory(settings), each, Request(action, each.key))
        return SUCCESS

    code = Interruptible().run(work())
    for each in found:
        output.line(f"{action} {each.service} {each.event_id}: asked of the group's host")
    output.document({"group": options.group, "asked": action, "events": [each.event_id for each in found]})
    return code


def _read(options: GroupOptions) -> Sequence[Parked]:
    settings = options.load().settings
    found: list[Parked] = []

    async def work() -> int:
        async with open_reading(settings) as log:
            found.extend((await read_group(log, options.group, options.directory(settings)))[1])
        return SUCCESS

    Interruptible().run(work())
    return found


def _check_service(parked: Sequence[Parked], service: str) -> None:
    names = sorted({each.service for each in parked})
    if service not in names:
        raise ParkedNotFoundError(
            f"expected parked changes of a service {service[:120]!r}, but it has none.",
            hint=f"Of this group, {', '.join(names)} {'have' if len(names) > 1 else 'has'} some."
            if names
            else "Nothing of this group is parked.",
        )


def _find(parked: Sequence[Parked], event: str, service: str | None, *, one: bool) -> list[Parked]:
    found = [each for each in parked if each.event_id.startswith(event) and service in (None, each.service)]
    if not found and event:
        raise ParkedNotFoundError(
            f"expected a parked change with the event id {event[:80]!r}, but there is none.",
            hint="`runline parked list --group NAME` has them all.",
        )
    if len(found) > 1 and (one or event):
        raise ArgumentsError(
            f"Expected one parked change, but {event[:80]!r} stands for {len(found)}.",
            hint="Give the whole event id, and --service.",
        )
    return found


def _table(found: Sequence[Parked]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("service", "run", "event", "type"):
        table.add_column(name, no_wrap=True)
    for name in ("attempts", "behind"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("asked", no_wrap=True)
    table.add_column("error", overflow="fold")
    for each in found:
        texts = (each.service, each.run_id, _short(each.event_id), each.event_type, str(each.attempts))
        error = one_line(each.error)[:_ERROR_CHARACTERS]
        table.add_row(*map(Text, texts), Text(str(each.behind)), Text(each.asked), Text(error, style="red"))
    return table


def _short(event_id: str) -> str:
    """Return an event id for a narrow column: the beginning tells it from others, and `show` takes it."""
    return event_id[:12]
