"""What a host is given is checked before anything is done with it."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import cast

import pytest

from consumers.host import Delivery, LocalProgress, Service, ServiceHost, ServiceInvalidError, Start, open_progress
from consumers.host.delivery import check_service
from consumers.host.opening import read_group, reset_group
from engine import Run, Trace
from engine.errors import ArgumentError, ClosedError
from engine.log.port import Log
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
        ({"timeout": 10**400}, "seconds above 0 as timeout, or None, but found 1000.* of type int"),
        ({"retry_seconds": -1}, "seconds from 0 on as retry_seconds, but found -1"),
        ({"start": "beginning"}, "a Start, such as .*, but found 'beginning'"),
        ({"wanted": "failed"}, "a Wanted as wanted, but found 'failed'"),
        ({"hold": "no"}, "True or False as hold, but found 'no'"),
        ({"own_loops": 1}, "True or False as own_loops, but found 1"),
        ({"adopt": None}, "True or False as adopt, but found None"),
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


async def test_a_host_without_a_log_or_progress_is_refused(tmp_path: Path) -> None:
    log = SimulatedLog()
    progress = LocalProgress.open(tmp_path, log.partitions)
    with pytest.raises(ArgumentError, match=r"expected a log, such as .*, but found 'data' of type str"):
        ServiceHost("data", {"book": Book()}, progress)  # type: ignore[arg-type]  # the mistake
    for wrong in ("data/followers/g", LocalProgress, None):
        with pytest.raises(ArgumentError, match=r"expected a store of progress, such as .*, but found"):
            ServiceHost(log, {"book": Book()}, wrong)  # type: ignore[arg-type]  # the mistake
    await progress.leave()


@pytest.mark.parametrize(
    ("group", "directory", "text"),
    [
        ("g", "data/followers/g", r"a Path, such as .*, as the directory .*, but found 'data/followers/g' of type str"),
        ("g", b"data", "a Path, such as "),
        ("g", None, "a directory for the progress of a group of a log of this machine, but found none"),
        ("g", Path("a\0b"), "a directory whose name has no null characters"),
        ("g", Path("a" * 300), "a directory whose name has at most"),
        (5, Path("g"), "a text as the name of a group, but found 5 of type int"),
        (None, Path("g"), "a text as the name of a group, but found None"),
        ("../g", Path("g"), "the name of a group of 1 to 100 letters"),
    ],
)
async def test_progress_of_no_group_or_without_a_directory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: str, directory: Path, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    log = SimulatedLog()
    with pytest.raises(ArgumentError, match=f"expected {text}"):
        open_progress(log, group, directory)
    with pytest.raises(ArgumentError, match=f"expected {text}"):
        await read_group(log, group, directory)
    with pytest.raises(ArgumentError, match=f"expected {text}"):
        await reset_group(log, group, directory, ())
    assert not any(os.scandir(tmp_path))


@pytest.mark.parametrize("log", [None, "data", Path("data"), SimulatedLog])
def test_progress_of_what_is_no_log_is_refused(tmp_path: Path, log: Log) -> None:
    with pytest.raises(ArgumentError, match="expected a log, such as "):
        open_progress(log, "g", tmp_path / "g")
    assert list(tmp_path.iterdir()) == []


async def test_a_host_starts_once(tmp_path: Path) -> None:
    log = SimulatedLog()
    host = ServiceHost(log, {"book": Book()}, LocalProgress.open(tmp_path, log.partitions))
    await host.start()
    with pytest.raises(ClosedError, match="started before"):
        await host.start()
    await host.close()
    with pytest.raises(ClosedError, match="was closed"):
        await host.start()
