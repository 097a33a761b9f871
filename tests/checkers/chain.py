"""Promise 3: per run, the accepted commits form one gapless chain in every reader."""

from collections import defaultdict
from collections.abc import Iterator

from tests.checkers.artefacts import Artefacts
from tests.checkers.rule import Chains


def readers_agree(artefacts: Artefacts, chains: Chains) -> Iterator[str]:
    """Yield readers that took other commits for accepted than the rule does."""
    counting = {commit.id: commit.offset for chain in chains.values() for commit in chain}
    for reading in artefacts.readings:
        expected = {
            line.offset: line.headers["ce_id"]
            for line in artefacts.records("events", reading.partition)
            if reading.first <= line.offset < reading.end and counting.get(line.headers.get("ce_id", "")) == line.offset
        }
        found = dict(reading.accepted)
        for offset in sorted(expected.keys() | found.keys()):
            if expected.get(offset) != found.get(offset):
                what = "accepted" if offset in found else "skipped"
                yield f"{reading.reader} {what} the record at events/{reading.partition}/{offset}, which it must not"


def fenced(artefacts: Artefacts, chains: Chains) -> Iterator[str]:  # noqa: ARG001 - the signature of all checkers
    """Yield commits that a reader accepted behind the fence of another owner than the one who wrote them."""
    epochs: dict[int, dict[int, str]] = defaultdict(dict)
    for partition in {reading.partition for reading in artefacts.readings}:
        epoch = ""
        for line in artefacts.records("events", partition):
            if line.headers.get("ce_type") == "runline.fence" and line.key == "fence":
                epoch = f"{line.offset}:{line.headers.get('nonce', '')}"
            elif line.headers.get("epoch") != epoch:
                epochs[partition][line.offset] = epoch
    for reading in artefacts.readings:
        late = epochs[reading.partition]
        for offset, commit in reading.accepted:
            if offset in late:
                yield (
                    f"{reading.reader} accepted commit {commit} at events/{reading.partition}/{offset}, which was "
                    f"written under another epoch than {late[offset]}"
                )
