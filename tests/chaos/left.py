"""What a round has left so far: on the log, and in the files of its workers."""

import asyncio
import json
import re
from collections import Counter
from pathlib import Path

from engine.log.kafka import KafkaLog
from engine.log.place import places
from engine.log.port import COMMANDS, EVENTS
from tests.chaos.company import ASKED, VIEWS
from tests.chaos.ledger import lines
from tests.checkers import Artefacts, Facts, Request, ViewDump
from tests.checkers.commands import unanswered
from tests.checkers.ends import ends
from tests.kafka.engines import read_all
from tests.projections.folding import fold, stored

_MISTAKE = re.compile(
    r"(Assertion|Attribute|Import|Index|Key|Name|NotImplemented|Recursion|Runtime|Type|UnboundLocal|UnicodeDecode)Error\b"
    r"|.*was never (retrieved|awaited)|Exception ignored|.*(Resource|Runtime)Warning"
)
"""Lines that no fault of somebody else leads to."""


def outcomes(directory: Path) -> Counter[str]:
    """Return how many requests had each outcome so far."""
    return Counter(
        json.loads(line)["outcome"]
        for path in directory.glob("requests*.jsonl")
        for line in path.read_bytes().splitlines(keepends=True)
        if line.endswith(b"\n")  # the last one may be on its way
    )


async def read_log(log: KafkaLog) -> Artefacts:
    """Return everything on the log, when everything is to be over."""
    artefacts = Artefacts(Facts(log.partitions))
    for topic, partition in places(log.partitions):
        artefacts.add_log(topic, partition, await read_all(log, topic, partition))
    return artefacts


async def outstanding(log: KafkaLog) -> list[str]:
    """Return what was asked for and is not done yet."""
    artefacts = await read_log(log)
    chains = artefacts.chains()
    return [*unanswered(artefacts, chains), *ends(artefacts, chains)]


async def collect(log: KafkaLog, directory: Path) -> Artefacts:
    """Write everything that checkers look at into the directory, and return it."""
    artefacts = await read_log(log)
    artefacts.requests = [Request(kind, run, "unknown") for kind, run in _never_answered(directory)]
    for origin, rows in (
        ("live", stored(directory / VIEWS)),
        ("from zero", await fold(log, directory / "views from zero")),
    ):
        told = [(family, key.hex(), value.hex()) for family, pairs in rows.items() for key, value in pairs]
        artefacts.views.append(ViewDump("views", origin, told))
    await asyncio.to_thread(artefacts.dump, directory)
    return await asyncio.to_thread(Artefacts.load, directory)


def late(artefacts: Artefacts) -> int:
    """Return how many commits and parts were written under an epoch that was over."""
    count = 0
    for partition in range(artefacts.facts.partitions):
        epoch = ""
        for line in artefacts.records(EVENTS, partition):
            if line.headers["ce_type"] == "runline.fence":
                epoch = f"{line.offset}:{line.headers['nonce']}"
            elif line.headers["epoch"] != epoch:
                count += 1
    return count


def figures(artefacts: Artefacts) -> dict[str, int]:
    """Return what came of the faults on the log."""
    chains = artefacts.chains()
    kinds = Counter(line.headers["ce_type"] for line in artefacts.log if line.topic == EVENTS)
    events = [event for chain in chains.values() for commit in chain for event in commit.value["events"]]
    return {
        "commands": sum(line.topic == COMMANDS for line in artefacts.log),
        "runs": len(chains),
        "commits": kinds["runline.commit"],
        "skipped": kinds["runline.commit"] - sum(map(len, chains.values())),
        "late": late(artefacts),
        "fences": kinds["runline.fence"],
        "checkpoint parts": kinds["runline.checkpoint"],
        "attempts retried": sum(event["type"] == "trace.started" and event["attempt"] > 1 for event in events),
        "effects": len(artefacts.effects),
        "deliveries": len(artefacts.deliveries),
        "view rows": sum(len(view.rows) for view in artefacts.views if view.origin == "live"),
    }


def mistakes(directory: Path) -> list[str]:
    """Return what workers said that only a mistake of ours makes them say."""
    return [
        f"{path.name}, line {number}: {line}"
        for path in sorted(directory.glob("*.log"))
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if _MISTAKE.match(line)
    ]


def _never_answered(directory: Path) -> list[tuple[str, str]]:
    """Return what clients asked that died before they wrote an answer down."""
    asked: dict[object, tuple[str, str]] = {}
    for line in lines(directory / ASKED):
        if "asked" in line:
            asked[line["asked"]] = str(line["kind"]), str(line["run"])
        else:
            asked.pop(line["answered"], None)
    return list(asked.values())
