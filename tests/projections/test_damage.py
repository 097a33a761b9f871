"""A damaged store is noticed, said loudly, and folded anew; no answer is ever wrong."""

import asyncio
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from engine.errors import RunlineError
from engine.limits import STORE_CACHE_BYTES
from engine.store import rocks
from engine.store.errors import StoreDamagedError, StoreError
from engine.store.rocks import RocksStore
from projections import Projector, Views, ViewsNotReadyError
from tests.projections.folding import ALL, Rows, dump, fold, folded, small_batches, stored
from tests.projections.forging import SECONDS, make_runs
from tests.simulation.log import SimulatedLog

SEEDS = 12
COPIES_MAX = 200
MEMORY_BYTES = 150 * 1024
"""Much smaller than in use, so that a store goes to tables often, one family before the others."""
Damage = Callable[[Path, random.Random], object]


def store_of(path: Path) -> Path:
    (found,) = path.glob("store-*")
    return found


def files_of(path: Path, pattern: str) -> list[Path]:
    return sorted(file for file in store_of(path).glob(pattern) if file.is_file())


def flip(file: Path, chance: random.Random) -> None:
    data = bytearray(file.read_bytes())
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        file.write_bytes(data)


def flip_in(pattern: str) -> Damage:
    def damage(path: Path, chance: random.Random) -> None:
        flip(chance.choice(files_of(path, pattern)), chance)

    return damage


def remove_in(pattern: str) -> Damage:
    def damage(path: Path, chance: random.Random) -> None:
        chance.choice(files_of(path, pattern)).unlink()

    return damage


def remove_table(path: Path, chance: random.Random) -> None:
    """Remove a table of those in use; one that was replaced may still lie there, and nobody misses it."""
    store = RocksStore.inspect(store_of(path), ())
    live = {str(table["name"]).removeprefix("/") for table in store._opened().live_files()}
    store.close()
    chance.choice([file for file in files_of(path, "*.sst") if file.name in live]).unlink()


def cut_in(pattern: str) -> Damage:
    def damage(path: Path, chance: random.Random) -> None:
        file = chance.choice(files_of(path, pattern))
        data = file.read_bytes()
        file.write_bytes(data[: chance.randrange(len(data)) if data else 0])

    return damage


def remove_half(path: Path, chance: random.Random) -> None:
    for file in files_of(path, "*"):
        if chance.random() < 0.5:
            file.unlink()


def remove_all(path: Path, _: random.Random) -> None:
    for file in files_of(path, "*"):
        file.unlink()


def flip_list(path: Path, chance: random.Random) -> None:
    flip(path / "views.json", chance)


def cut_list(path: Path, chance: random.Random) -> None:
    data = (path / "views.json").read_bytes()
    (path / "views.json").write_bytes(data[: chance.randrange(len(data))])


DAMAGES: dict[str, Damage] = {
    "a flipped bit in a table": flip_in("*.sst"),
    "a missing table": remove_table,
    "a cut table": cut_in("*.sst"),
    "a flipped bit in what is not in a table yet": flip_in("*.log"),
    "nothing of what is not in a table yet": remove_in("*.log"),
    "a cut end of what is not in a table yet": cut_in("*.log"),
    "a flipped bit in the manifest": flip_in("MANIFEST-*"),
    "a missing manifest": remove_in("MANIFEST-*"),
    "a cut manifest": cut_in("MANIFEST-*"),
    "a flipped bit in the current file": flip_in("CURRENT"),
    "a missing current file": remove_in("CURRENT"),
    "an empty current file": lambda path, _: (store_of(path) / "CURRENT").write_bytes(b""),
    "any missing file": remove_in("*"),
    "half of the files": remove_half,
    "an empty store": remove_all,
    "no store": lambda path, _: shutil.rmtree(store_of(path)),
    "a flipped bit in the list": flip_list,
    "a cut list": cut_list,
    "no list": lambda path, _: (path / "views.json").unlink(),
}
HARMLESS_AT_TIMES = {
    "a flipped bit in a table",
    "a flipped bit in the manifest",
    "a cut manifest",
    "a cut table",
    "a flipped bit in what is not in a table yet",
    "nothing of what is not in a table yet",
    "a cut end of what is not in a table yet",
    "any missing file",
    "a flipped bit in the list",
}


@pytest.fixture
async def log() -> SimulatedLog:
    made = SimulatedLog(2)
    await make_runs(made, 40)
    return made


async def copy_while_open(source: Path, copy: Path, rows: Rows) -> None:
    """Copy a store as a kill would leave it, however often tables are merged meanwhile."""
    for _ in range(COPIES_MAX):
        with suppress(shutil.Error, StoreError):
            shutil.copytree(source, copy)
            if stored(copy) == rows:
                return
        shutil.rmtree(copy, ignore_errors=True)
        await asyncio.sleep(0)
    raise AssertionError("the store does not come to rest")


async def make_views(log: SimulatedLog, path: Path) -> Rows:
    """Make a store most of which stands in tables, as in one that has grown, left as by a kill; return its rows."""
    work = path.with_name("work")
    with pytest.MonkeyPatch.context() as small:
        small.setattr(rocks, "STORE_MEMORY_BYTES", MEMORY_BYTES)
        small_batches(small, 5)
        await fold(log, work)
        await make_runs(log, 40)
        async with folded(log, work) as projector:
            rows = dump(projector.store)
            await copy_while_open(work, path, rows)
    assert len(files_of(path, "*.sst")) > 5
    assert any(file.stat().st_size for file in files_of(path, "*.log"))
    return rows


@pytest.mark.parametrize("name", DAMAGES)
async def test_a_store_that_was_damaged_while_nobody_had_it_open_is_folded_anew(
    name: str, log: SimulatedLog, quick: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = await make_views(log, quick / "sound")
    said = 0
    for seed in range(SEEDS):
        views = quick / str(seed)
        shutil.copytree(quick / "sound", views)
        DAMAGES[name](views, random.Random(f"{name} {seed}"))
        rocks._shared_cache.clear()
        caplog.clear()
        async with folded(log, views) as projector:
            found = await ask_all(projector, whole)
        said += "All is folded anew" in caplog.text
        assert found == whole, (name, seed)
        assert stored(views) == whole, (name, seed)
        if "list" not in name:
            assert len(list(views.glob("store-*"))) == 1, "what was damaged is removed"
    print(f"{name}: noticed {said} of {SEEDS} times")
    assert said == SEEDS or name in HARMLESS_AT_TIMES


async def ask_all(projector: Projector, whole: Rows) -> Rows:
    """Ask for all rows again and again, as readers do, until there is an answer; one that is there is never wrong."""
    async with asyncio.timeout(SECONDS):
        while True:
            try:
                return {
                    family: rows for family in whole for rows in [projector.store.scan(family, b"", None, limit=ALL)]
                }
            except StoreDamagedError as error:
                projector.damaged(error)
            except ViewsNotReadyError:
                pass
            await projector.moved()
            await projector.caught_up()


def spoil(file: Path, name: str, chance: random.Random) -> None:
    if name == "a missing table":
        file.unlink()
    else:
        data = file.read_bytes()
        file.write_bytes(chance.randbytes(100) + data[100 if name == "a flipped bit in a table" else 5_000 :])


@pytest.mark.parametrize("name", ["a flipped bit in a table", "a cut table", "a missing table"])
async def test_damage_that_a_reader_meets_while_views_are_folded_makes_them_anew(
    name: str, log: SimulatedLog, quick: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await make_views(log, quick / "sound")
    for seed in range(3):
        views = quick / str(seed)
        shutil.copytree(quick / "sound", views)
        caplog.clear()
        async with folded(log, views) as projector:
            whole = dump(projector.store)
            for file in files_of(views, "*.sst"):
                # All of them: in which one a row stands, and what is still in memory, nobody knows.
                with suppress(FileNotFoundError):  # merged with others meanwhile
                    spoil(file, name, random.Random(f"{seed} {file.name}"))
            rocks._shared_cache[0].set_capacity(0)
            rocks._shared_cache[0].set_capacity(STORE_CACHE_BYTES)
            await make_runs(log, 5)
            try:
                found = await ask_all(projector, whole)
            except RunlineError as error:
                raise AssertionError(f"{name}, seed {seed}") from error
            await projector.caught_up()
            found = await ask_all(projector, whole)
        assert found == await fold(log, quick / f"from zero {seed}"), seed
        print(f"{name}: noticed: {'All is folded anew' in caplog.text}")


async def test_a_reader_of_other_processes_views_says_that_they_are_damaged_and_what_to_do(
    log: SimulatedLog, quick: Path
) -> None:
    await make_views(log, quick / "sound")
    for file in files_of(quick / "sound", "*.sst"):
        file.write_bytes(bytes(100) + file.read_bytes()[100:])
    for file in files_of(quick / "sound", "*.log"):
        file.unlink()
    rocks._shared_cache.clear()
    views = Views.open(quick / "sound")
    with pytest.raises(StoreError, match="runline rebuild"):
        async with views:
            await views.list_runs()


async def test_an_answer_that_lacks_commits_is_damage(log: SimulatedLog, quick: Path) -> None:
    async with folded(log, quick) as projector:
        views = Views.of(projector)
        before = dump(projector.store)
        for run in (await views.list_runs(limit=5)).items:
            rows = [key for key, _ in before["traces.commits"] if key.startswith(run.run_id.encode())]
            batch = projector.store.batch()
            batch.delete("traces.commits", rows[-1])
            projector.store.write(batch)
            with pytest.raises(StoreDamagedError, match="lacks commits"):
                await views.get_run(run.run_id)
            await projector.moved()
            await projector.caught_up()
            assert dump(projector.store) == before


async def test_a_row_of_a_position_that_cannot_be_read_is_damage(log: SimulatedLog, quick: Path) -> None:
    async with folded(log, quick) as projector:
        batch = projector.store.batch()
        for value in (b"", b"[]", b"{}", b'{"stopped":"never heard of"}'):
            batch.put("positions", b"events/000000", value)
        projector.store.write(batch)
        before = dump(projector.store)
    whole = await fold(log, quick)
    assert whole["positions"] != before["positions"]
    assert whole == await fold(log, quick / "from zero")


async def test_a_reader_never_takes_a_new_store_for_the_one_it_has_open(log: SimulatedLog, quick: Path) -> None:
    async with folded(log, quick) as projector, Views.open(quick) as beside:
        for _ in range(5):
            before = await beside.list_runs(limit=1_000)
            projector.damaged(StoreDamagedError("as if somebody had found it so"))
            with pytest.raises(ViewsNotReadyError):
                _ = projector.store
            await projector.moved()
            await projector.caught_up()
            assert await beside.list_runs(limit=1_000) == before
            assert len(list_stores(quick)) == 1


def list_stores(path: Path) -> list[Path]:
    return list(path.glob("store-*"))
