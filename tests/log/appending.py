"""A program that appends to an embedded log and prints every acknowledgement, until it is killed or its input ends.

Run as `appending.py DIRECTORY PARTITIONS DURABILITY SEED`.
"""

import asyncio
import itertools
import random
import sys
from typing import cast

from engine.log.embedded import Durability, EmbeddedLog
from engine.log.port import EVENTS, Record


def record(seed: int, writer: int, number: int) -> Record:
    value = random.Random(f"{seed} {writer} {number}").randbytes(number % 900)
    return Record(f"writer {writer}", value, {"seed": str(seed), "number": str(number)})


def tell(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def main(directory: str, partitions: int, durability: Durability, seed: int) -> None:
    tell("opening")
    log = await EmbeddedLog.open(directory, partitions, durability)
    tell("open")

    async def write(writer: int) -> None:
        for number in itertools.count():
            partition = (writer + number) % partitions
            offset = await log.append(EVENTS, partition, record(seed, writer, number))
            tell(partition, offset, writer, number)

    writers = [asyncio.create_task(write(writer)) for writer in range(8)]
    await asyncio.to_thread(sys.stdin.read)
    for task in writers:
        task.cancel()
    await log.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), cast("Durability", sys.argv[3]), int(sys.argv[4])))
