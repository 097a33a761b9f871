"""Bytes flipped in the files of an embedded log: it is refused, or the audit finds it, or no record has changed."""

import shutil
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from engine.errors import LogError
from engine.log.embedded import EmbeddedLog
from engine.log.place import places
from engine.log.port import Record
from engine.store import rocks
from projections.audit import Roots, Rule, audit_log, compare
from tests.simulation.log import SimulatedLog

FLIPS = 60


CONTENTS = (".sst", ".log", "MANIFEST", "CURRENT", "acknowledged")
"""What the files are called that the log is made of; others are RocksDB's notes for people."""


async def directory_of(log: SimulatedLog, directory: Path, *, killed: bool) -> None:
    """Write a log's records into an embedded log; leave it as a process does that is killed, or in order."""
    target = await EmbeddedLog.open(directory, log.partitions, durability="process")
    for place in places(log.partitions):
        for record in log.partition(*place).records:
            await target.append(*place, Record(record.key, record.value, record.headers))
    if killed:
        shutil.copytree(directory, directory.with_suffix(".killed"))
    await target.close()
    if killed:
        shutil.rmtree(directory)
        directory.with_suffix(".killed").rename(directory)


async def read_again(directory: Path, roots: Roots | None, work: Path) -> tuple[str, Roots | None]:
    """Audit a directory; return what came of it, and its roots when there is nothing wrong."""
    # Copies of a file are the same file for the cache, which would give what stood there before.
    rocks._shared_cache.clear()
    try:
        log = await EmbeddedLog.open_reading(directory)
    except LogError:
        return "refused", None
    try:
        audit = await audit_log(log, work)
        differences = [] if roots is None else (await compare(roots, audit, log)).violations
    except LogError:
        return "refused", None
    finally:
        await log.close()
    if audit.violations:
        rules = {rule for each in audit.partitions for rule in each.violation_counts}
        return "unreadable" if Rule.LOG_DAMAGED in rules else "violated", None
    return ("different", None) if differences else ("unchanged", Roots.of(audit))


@pytest.mark.parametrize("killed", [True, False], ids=["in the write-ahead log", "in tables"])
async def test_no_flipped_byte_of_a_directory_changes_a_record_unnoticed(
    whole_log: SimulatedLog, tmp_path: Path, *, killed: bool
) -> None:
    await directory_of(whole_log, tmp_path / "log", killed=killed)
    what, roots = await read_again(tmp_path / "log", None, tmp_path / "work")
    assert what == "unchanged"
    seed = 11 + killed
    random = Random(seed)
    print("seed", seed)
    outcomes: Counter[str] = Counter()
    files = [file for file in sorted((tmp_path / "log").rglob("*")) if file.is_file() and file.stat().st_size]
    files = [file for file in files if any(part in file.name for part in CONTENTS)]
    print({file.name: file.stat().st_size for file in files})
    weights = [file.stat().st_size for file in files]
    for number in range(FLIPS):
        file = random.choices(files, weights)[0] if number % 2 else random.choice(files)
        copy = tmp_path / f"copy-{number}"
        shutil.copytree(tmp_path / "log", copy)
        target = copy / file.relative_to(tmp_path / "log")
        content = bytearray(target.read_bytes())
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
        target.write_bytes(content)
        what, found = await read_again(copy, roots, tmp_path / "work")
        if found is not None:
            assert found == roots
        outcomes[what] += 1
        shutil.rmtree(copy)
    assert outcomes["refused"] + outcomes["unreadable"] + outcomes["violated"] > FLIPS // 2, outcomes
    assert not outcomes["different"], "a changed record is told by its own checksum before any root"
