"""What must be true of a world when its storm is over, besides what `tests.checkers` reads from logs and ledgers."""

from collections import Counter

from engine.change import changes_of
from engine.core.commands import CreateRun, StartRun, decode
from engine.core.rejection import Rejection
from engine.core.view import View
from engine.executor.beginning import begin
from engine.log.partitioner import partition_of
from engine.log.port import COMMANDS, EVENTS, REJECTIONS
from tests.simulation.world import Host, World


def check_progress(world: World, survivor: Host) -> list[str]:
    """Return whether the survivor's progress service missed a change or heard it out of order."""
    if world.log.partitions > 1 or world.truncated:
        return []
    truth = [change.subject for accepted in world.accepted(0)[1] for change in changes_of(accepted)]
    heard = survivor.hearing.heard
    same = heard == truth[len(truth) - len(heard) :]
    return [] if same else [f"a progress service heard {len(heard)} changes, not the last of {len(truth)}"]


async def check_beginnings(world: World, partition: int) -> list[str]:
    """Return where a view begun in the middle differs from the one from zero."""
    records, start = world.log.partition(EVENTS, partition).history, world.log.partition(EVENTS, partition).start
    places = sorted({world.random.randint(start, len(records)) for _ in range(5)} | {len(records)})
    violations: list[str] = []
    whole = View()
    for place in places:
        while whole.position < place:
            whole.fold(records[whole.position])
        view = (await begin(world.log.client(), partition, place)).view
        for record in records[view.position : place]:
            view.fold(record)
        if (view.runs, view.epoch, view.ended) != (whole.runs, whole.epoch, whole.ended):
            violations.append(f"the view of partition {partition} at {place} depends on where it begins")
    return violations


def check_commands(world: World, partition: int) -> list[str]:
    """Return commands that were decided more than once, or never."""
    _, commits = world.accepted(partition)
    decided: Counter[tuple[str, int]] = Counter()
    for commit in commits:
        named: dict[str, int] = {}
        for event in commit.value["events"]:
            if isinstance(command_id := event.get("command"), str):
                named[command_id] = event["offset"] if event["type"] == "command.refused" else -1
        decided.update(named.items())
    violations = [f"command {name} was decided {count} times" for name, count in decided.items() if count > 1]
    answered = {name for name, _ in decided}
    rejections = world.log.partition(REJECTIONS, 0).records
    answered |= {record.headers.get("causationid", "") for record in rejections}
    places = {(record.headers["partition"], record.headers["offset"]) for record in rejections}
    runs = {commit.after.run_id for commit in commits}
    for record in world.log.partition(COMMANDS, partition).history:
        command = decode(record.value)
        if isinstance(command, Rejection):
            known = (str(partition), str(record.offset)) in places
        elif (right := partition_of(command.run, world.log.partitions)) != partition:
            known = f"{partition}/{record.offset}" in _forwarded(world, right)
        else:
            known = command.id in answered or (isinstance(command, CreateRun | StartRun) and command.run in runs)
        if not known:
            violations.append(f"command {record.value!r} at {record.offset} was never decided")
    return violations


def _forwarded(world: World, partition: int) -> set[str]:
    """Return from where commands of a partition were sent on to it."""
    return {record.headers.get("forwarded", "") for record in world.log.partition(COMMANDS, partition).history}


def check_results(world: World) -> list[str]:
    """Return what waiting callers were given although the log says something else."""
    truth = world.ended()
    return [
        f"somebody was given {run}, the log says {truth.get(run.run_id)}"
        for run in world.results
        if truth.get(run.run_id) != run
        # What an unclean election took away was true when it was given.
        and f"{EVENTS}/{partition_of(run.run_id, world.log.partitions)}" not in world.truncated
    ]
