import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.log.embedded import EmbeddedLog
from engine.store.private import make_private
from engine.store.rocks import RocksStore
from projections import Views


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


async def test_what_has_contexts_in_it_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    log = await EmbeddedLog.open(tmp_path / "above" / "data")
    async with Views.folded(tmp_path / "views").fold(log):
        assert mode(tmp_path / "views") == 0o700
    await log.close()
    assert mode(tmp_path / "above" / "data") == 0o700
    assert mode(tmp_path / "above") == 0o755
    RocksStore.open(tmp_path / "store", ["family"], create=True).close()
    assert mode(tmp_path / "store") == 0o700


def test_a_directory_made_for_others_to_read_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir(0o750)
    make_private(tmp_path / "shared")
    assert mode(tmp_path / "shared") == 0o750
