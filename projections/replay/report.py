"""The report of a replay: for people, and as a JSON document."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from engine.cli.output import Output
from projections.decisions import DecisionReport, Difference
from projections.replay.replay import ReplayReport, ViewsReport
from projections.replay.rows import RowDifference
from projections.replay.whole import ReplayedPartition

_VALUE_CHARACTERS: Final = 10_000
"""Characters of a row's value that stand in the JSON report."""


def replay_json(report: ReplayReport) -> Mapping[str, object]:
    """Return the JSON report."""
    return {
        "same": report.same,
        "views": _views_json(report.views),
        "decisions": _decisions_json(report.decisions),
    }


def print_replay(output: Output, report: ReplayReport) -> None:
    """Print the report for people."""
    _print_views(output, report.views)
    _print_decisions(output, report.decisions)
    if report.same:
        output.line("all decisions are the same" if report.views.why_not else "everything is the same", "green")


def _print_views(output: Output, views: ViewsReport) -> None:
    if views.why_not:
        output.line(f"views: not compared: {views.why_not}", "yellow")
        return
    differing = views.rows.differing
    families = ", ".join(f"{family} {count}" for family, count in differing.most_common())
    output.line(
        f"views in {views.directory}: {_some(views.rows.rows.total(), 'row')} compared, "
        + _differing(differing.total(), f"({families})")
    )
    for each in views.partitions:
        if each.trouble:
            output.line(f"{each.name} cannot be folded once more: {each.trouble}", "red")
        elif each.position.stopped is not None:
            output.line(
                f"{each.name} was compared up to offset {each.position.offset}, where the views stopped: "
                f"{each.position.message}",
                "yellow",
            )
    for difference in views.rows.differences:
        output.line(str(difference), "red")
    _print_more(output, views.rows.differing.total() - len(views.rows.differences))


def _differing(count: int, where: str) -> str:
    return f"{count} differ {where}" if count else "none differs"


def _some(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _print_decisions(output: Output, decisions: DecisionReport) -> None:
    output.line(
        f"decisions: {_some(decisions.runs, 'run')}, {_some(decisions.commits, 'commit')} with "
        f"{_some(decisions.events, 'event')}; {decisions.compared} decided once more, "
        + _differing(decisions.differing_commits, f"in {_some(decisions.differing_runs, 'run')}")
    )
    for title, counts in (("taken over from the record", decisions.taken_over), ("skipped", decisions.skipped)):
        if counts:
            output.line(f"{title}: {_counted(counts)}", "yellow" if title == "skipped" else "dim")
    for difference in decisions.differences:
        output.line(str(difference), "red")
    _print_more(output, decisions.differing_runs - len(decisions.differences))
    for run_id, why in sorted(decisions.unreadable_runs.items()):
        output.line(f"run {run_id} cannot be read: {why}", "red")
    for run_id in decisions.unknown_runs:
        output.line(f"run {run_id} is not on the log", "red")


def _print_more(output: Output, count: int) -> None:
    if count > 0:
        output.line(f"and {count} more")


def _counted(counts: Counter[str]) -> str:
    return "; ".join(f"{reason} {count}" for reason, count in counts.most_common())


def _views_json(views: ViewsReport) -> Mapping[str, object]:
    return {
        "directory": str(views.directory),
        "compared": not views.why_not,
        "why_not": views.why_not,
        "partitions": [_partition_json(each) for each in views.partitions],
        "rows": views.rows.rows,
        "differing": views.rows.differing,
        "differences": [_row_json(each) for each in views.rows.differences],
    }


def _partition_json(partition: ReplayedPartition) -> Mapping[str, object]:
    position = partition.position
    return {
        "topic": position.topic,
        "partition": position.partition,
        "position": position.offset,
        "stopped": position.stopped,
        "message": position.message,
        "trouble": partition.trouble,
    }


def _row_json(difference: RowDifference) -> Mapping[str, object]:
    return {
        "family": difference.family,
        "key": difference.key_text,
        "kind": difference.kind,
        "run_id": difference.run_id,
        "views": _value(difference.views),
        "folded": _value(difference.folded),
    }


def _value(value: bytes | None) -> str | None:
    return None if value is None else value[:_VALUE_CHARACTERS].decode(errors="backslashreplace")


def _decisions_json(decisions: DecisionReport) -> Mapping[str, object]:
    return {
        "same": decisions.same,
        "runs": decisions.runs,
        "commits": decisions.commits,
        "events": decisions.events,
        "compared": decisions.compared,
        "taken_over": decisions.taken_over,
        "skipped": decisions.skipped,
        "differing_commits": decisions.differing_commits,
        "differing_runs": decisions.differing_runs,
        "differences": list(_differences(decisions.differences)),
        "unknown_runs": decisions.unknown_runs,
        "unreadable_runs": decisions.unreadable_runs,
    }


def _differences(differences: Iterable[Difference]) -> Iterable[Mapping[str, object]]:
    for each in differences:
        yield {
            "run_id": each.run_id,
            "workflow_id": each.workflow,
            "workflow_version": each.version,
            "commit": each.commit_id,
            "offset": each.offset,
            "event": each.event_id,
            "index": each.index,
            "path": each.place,
            "recorded": each.recorded,
            "decided": each.decided,
            "why": each.why,
        }
