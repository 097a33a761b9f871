"""An executor, as a process: LOCATION ARTEFACTS."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import engine.core.checkpoint
import engine.executor.checkpointer
from engine import EngineService
from tests.chaos.roles import PROPERTIES, work
from tests.chaos.workflows import registry

_CHECKPOINT_BYTES = 60_000
_PART_BYTES = 2_000
"""Much smaller than in use, so that checkpoints come often and in many parts."""


def main(words: Sequence[str]) -> int:
    """Execute until SIGTERM."""
    location, artefacts = words
    vars(engine.executor.checkpointer)["CHECKPOINT_BYTES_MIN"] = _CHECKPOINT_BYTES
    vars(engine.core.checkpoint)["CHECKPOINT_PART_BYTES"] = _PART_BYTES

    async def execute(leaving: asyncio.Event) -> None:
        functions = registry(Path(artefacts))
        async with EngineService.open(location, functions, executor=True, kafka_properties=PROPERTIES):
            await leaving.wait()

    return work(execute)
