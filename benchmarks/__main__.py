"""Run all benchmarks, one process each; exit with 1 when one misses what it must reach."""

import subprocess
import sys

BENCHMARKS = (
    "runs",
    "memory",
    "recovery",
    "takeover",
    "projections",
    "lag",
    "follow",
    "soak",
    "soak --log kafka",
    "audit",
    "kafka_runs",
    "kafka_scale",
    "kafka_failover",
    "kafka_projections",
)

if __name__ == "__main__":
    codes = [
        subprocess.run([sys.executable, "-m", *f"benchmarks.{name}".split()], check=False).returncode
        for name in BENCHMARKS
    ]
    sys.exit(max(codes))
