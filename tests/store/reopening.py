"""Opens a store, writes a row and closes it, again and again; says in a file how many rows there must be by now."""

import sys
from pathlib import Path
from typing import Final

from engine.store.rocks import RocksStore

FAMILIES: Final = ("one", "two")


def main(directory: Path, promise: Path, count: int) -> None:
    """Write as many rows into both families."""
    new = promise.with_suffix(".new")
    for number in range(count):
        store = RocksStore.open(directory, FAMILIES)
        batch = store.batch()
        for family in FAMILIES:
            batch.put(family, number.to_bytes(4, "big"), b"")
        store.write(batch)
        new.write_text(str(number + 1))
        new.replace(promise)
        store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
