"""The verdict on a round: every checker, the audit, and what processes did that they may not do."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from engine.errors import RunlineError
from engine.log.kafka import KafkaLog
from projections.audit import audit_log
from tests.chaos.conductor import Setting, StandstillError, play
from tests.chaos.diary import Diary
from tests.chaos.left import collect, figures, mistakes, outcomes
from tests.checkers import check_all

_SHOWN = 20


@dataclass
class Report:
    """What was done in a round, and what came of it.

    Attributes:
        setting: What the round was.
        seconds: How long it took.
        healing: How many seconds of these, after all faults, it took until all was done; None: for ever.
        done: How often each fault was done.
        requests: How many requests had each outcome.
        figures: What came of it on the log.
        violations: What broke a promise.
    """

    setting: Setting
    seconds: float = 0.0
    healing: float | None = None
    done: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    figures: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return the report for people."""
        setting = self.setting
        asked = ", ".join(f"{self.requests[outcome]} {outcome}" for outcome in ("ok", "failed", "unknown", "waiting"))
        what = f"seed {setting.seed}, {setting.brokers} broker(s), {setting.seconds:g} s of faults"
        healed = "never done" if self.healing is None else f"all was done {self.healing:.1f} s after the last fault"
        return [
            f"{what}, {self.seconds:.0f} s in all: artefacts in {setting.directory}",
            *(f"  {count:5} x {what}" for what, count in sorted(self.done.items())),
            f"  requests: {asked}",
            "  " + ", ".join(f"{count} {what}" for what, count in self.figures.items()),
            f"  {healed}",
            f"  violations: {len(self.violations)}",
            *(f"    {text}" for text in self.violations[:_SHOWN]),
        ]


async def chaos(setting: Setting) -> Report:
    """Play a round and judge it.

    Args:
        setting: What the round is; its directory is made and must be empty.
    """
    setting.directory.mkdir(parents=True)
    diary = Diary(setting.directory / "diary.jsonl")
    diary.note("a round begins", seed=setting.seed, seconds=setting.seconds, brokers=setting.brokers)
    report = Report(setting)

    async def judge(log: KafkaLog) -> None:
        artefacts = await collect(log, setting.directory)
        report.requests = Counter(request.outcome for request in artefacts.requests)
        report.figures = figures(artefacts)
        report.violations += map(str, await asyncio.to_thread(check_all, artefacts))
        audit = await audit_log(log, setting.directory / "audit")
        report.violations += [f"audit: {each}" for part in audit.partitions for each in part.violations]

    try:
        await play(setting, diary, judge)
    except (StandstillError, RunlineError) as error:
        report.violations.append(f"{type(error).__name__}: {error}")
        report.requests = outcomes(setting.directory)
    report.violations += [*diary.violations, *mistakes(setting.directory)]
    report.done, report.seconds, report.healing = diary.counts, diary.seconds, diary.healing_seconds
    diary.note("the verdict", violations=report.violations)
    diary.close()
    return report
