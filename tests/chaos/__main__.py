"""Chaos on real brokers: `python -m tests.chaos --seed N --seconds 120 --brokers 1`; see docs/chaos.md."""

import argparse
import asyncio
import random
import sys
import time
from pathlib import Path

from tests.chaos.conductor import Setting
from tests.chaos.faults import Fault
from tests.chaos.verdict import chaos

_AROUND_SECONDS = 90.0
"""What a round takes besides its faults, with a good deal to spare on two cores."""


def main() -> int:
    """Play rounds, print the report of each, and return 1 if anything broke a promise."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Chaos on real Kafka brokers.")
    parser.add_argument("--seed", type=int, help="draws the faults; the next rounds have the next numbers")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long there are faults in a round")
    parser.add_argument("--brokers", type=int, choices=(1, 3), help="one or three; by turns unless given")
    kinds = [fault.name.lower().replace("_", "-") for fault in Fault]
    parser.add_argument(
        "--only", nargs="+", choices=kinds, default=[], help="kinds of faults; drawn, too, unless given"
    )
    parser.add_argument("--minutes", type=float, default=0.0, help="rounds go on as long as another one fits")
    parser.add_argument("--artefacts", type=Path, default=Path("data/chaos"), help="where each round leaves everything")
    words = parser.parse_args()
    seed = random.SystemRandom().randrange(2**32) if words.seed is None else words.seed
    only = tuple(Fault[kind.upper().replace("-", "_")] for kind in words.only)
    until = time.monotonic() + 60 * words.minutes
    violations = rounds = 0
    while not rounds or time.monotonic() + words.seconds + _AROUND_SECONDS < until:
        brokers = words.brokers or (1, 3)[rounds % 2]
        again = f"--seed {seed} --seconds {words.seconds:g} --brokers {brokers}"
        if words.only:
            again = f"{again} --only {' '.join(words.only)}"
        print(f"python -m tests.chaos {again}", flush=True)
        directory = words.artefacts / f"{time.strftime('%Y%m%d-%H%M%S')}-{seed}"
        report = asyncio.run(chaos(Setting(seed, words.seconds, brokers, directory, only)))
        print("\n".join(report.lines()), flush=True)
        violations += len(report.violations)
        rounds += 1
        seed += 1
    print(f"{rounds} round(s), {violations} violation(s)")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
