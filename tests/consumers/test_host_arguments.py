"""What a host is given is checked before anything is done with it."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import cast

import pytest

from consumers.host import Delivery, LocalProgress, Service, ServiceHost, ServiceInvalidError, Start
from consumers.host.delivery import check_service
from engine import Run, Trace
from engine.errors import ArgumentError, ClosedError
from tests.consumers.test_host import Book, hosting, play
from tests.simulation.log import SimulatedLog


class _Yields:
    def run_progress(self, run: Run) -> Iterator[Run]:
        yield run

    def trace_progress(self, trace: Trace) -> None: ...


class _YieldsAwaited:
    async def run_progress(self, run: Run) -> None: ...

    async def trace_progress(self, trace: Trace) -> AsyncIterator[Trace]:
        yield trace


class _Yielding:
    def __call__(self, run: Run) -> Iterator[Run]:
        yield run


class _YieldsInside(Book):
    run_progress = _Yielding()  # type: ignore[assignment]  # the mistake


class _Raises:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    @property
    def run_progress(self) -> None:
        raise self.error


class _BuiltIn(Book):
    run_progress = max  # type: ignore[assignment]  # the mistake


class _Misleading:
    __signature__ = 5

    def __call__(self, run: Run) -> None: ...


class _Misled(Book):
    run_progress = _Misleading()  # type: ignore[assignment]  # the mistake


@pytest.mark.parametrize(
    ("service", "text"),
    [
        (_Yields(), "run_progress of .* is a generator"),
        (_YieldsAwaited(), "trace_progress of .* is a generator"),
        (_YieldsInside(), "is a generator"),
        (_Raises(RuntimeError("not now")), "asking _Raises for it raises RuntimeError: not now"),
        (_Raises(SystemExit(3)), "asking _Raises for it raises SystemExit: 3"),
        (_BuiltIn(), "tells no signature: ValueError"),
        (_Misled(), "tells no signature: TypeError"),
        (Book, "the class Book"),
    ],
)
def test_what_would_never_hear_of_a_change_is_refused(service: object, text: str) -> None:
    with pytest.raises(ServiceInvalidError, match=text):
        check_service("service", service)


class _Optional(Book):
    async def run_progress(self, run: Run, delivery: Delivery | None = None) -> None:
        assert delivery is not None
        await self.hear(run, delivery)


class _Several(Book):
    async def run_progress(self, *arguments: object) -> None:
        run, delivery = arguments
        await self.hear(cast("Run", run), cast("Delivery", delivery))


@pytest.mark.parametrize("service", [_Optional, _Several])
async def test_a_second_argument_is_the_delivery_also_where_it_need_not_be_given(
    tmp_path: Path, service: type[Book]
) -> None:
    log = SimulatedLog()
    (run_id,) = await play(log, 1)
    book = service()
    async with hosting(log, tmp_path, {"book": book}) as host:
        await host.caught_up()
        assert (await host.lag())[0].parked == 0
    assert book.of(run_id)[0] == "run.created"


async def test_a_delivery_that_could_only_be_given_by_name_is_not_given(tmp_path: Path) -> None:
    log = SimulatedLog()
    await play(log, 1)
    heard: list[Delivery | None] = []

    class ByName:
        async def run_progress(self, run: Run, *, delivery: Delivery | None = None) -> None:  # noqa: ARG002 - unused
            heard.append(delivery)

        async def trace_progress(self, trace: Trace) -> None: ...

    async with hosting(log, tmp_path, {"service": ByName()}) as host:
        await host.caught_up()
    assert set(heard) == {None}


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"attempts": 0}, "at least 1 as attempts, but found 0"),
        ({"attempts": True}, "at least 1 as attempts, but found True"),
        ({"concurrent": 0}, "at least 1 as concurrent, but found 0"),
        ({"deaths": "3"}, "at least 1 as deaths, but found '3'"),
        ({"timeout": 0}, "seconds above 0 as timeout, or None, but found 0"),
        ({"timeout": float("nan")}, "seconds above 0 as timeout"),
        ({"timeout": "1"}, "seconds above 0 as timeout"),
        ({"retry_seconds": -1}, "seconds from 0 on as retry_seconds, but found -1"),
        ({"start": "beginning"}, "a Start, such as .*, but found 'beginning'"),
        ({"wanted": "failed"}, "a Wanted as wanted, but found 'failed'"),
    ],
    ids=str,
)
async def test_settings_with_which_no_service_could_be_called_are_refused(
    tmp_path: Path, settings: dict[str, object], text: str
) -> None:
    with pytest.raises(ArgumentError, match=text):
        async with hosting(SimulatedLog(), tmp_path, {"book": Book()}, **settings):  # type: ignore[arg-type]  # on purpose
            pass


@pytest.mark.parametrize(
    ("services", "text"), [([Book()], "services by their names, .* of type list"), ({1: Book()}, "a text as the name")]
)
async def test_services_without_names_are_refused(tmp_path: Path, services: object, text: str) -> None:
    with pytest.raises(ArgumentError, match=text):
        async with hosting(SimulatedLog(), tmp_path, cast("dict[str, Service]", services)):
            pass


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Start.at(datetime(2026, 1, 1)), "a datetime with a time zone"),  # noqa: DTZ001 - the mistake
        (lambda: Start.from_offsets({0: "1"}), "integers as partitions"),  # type: ignore[dict-item]  # the mistake
    ],
)
def test_a_start_that_names_no_place_is_refused(make: Callable[[], Start], text: str) -> None:
    with pytest.raises(ArgumentError, match=text):
        make()


async def test_a_host_starts_once(tmp_path: Path) -> None:
    log = SimulatedLog()
    host = ServiceHost(log, {"book": Book()}, LocalProgress.open(tmp_path, log.partitions))
    await host.start()
    with pytest.raises(ClosedError, match="started before"):
        await host.start()
    await host.close()
    with pytest.raises(ClosedError, match="was closed"):
        await host.start()
