"""Resolve what examples/Follow.java needs from Maven Central: `python tests/interop/jars.py DIRECTORY`."""

import hashlib
import sys
import tempfile
from pathlib import Path
from typing import Final

from jgo.env import EnvironmentBuilder, LinkStrategy
from jgo.maven import MavenContext

JARS: Final = (
    "org.apache.kafka:kafka-clients:4.3.1",
    "com.fasterxml.jackson.core:jackson-databind:2.19.1",
    "org.slf4j:slf4j-simple:1.7.36",
)


def libraries(directory: Path) -> Path:
    """Return where the jars are in a directory, once they are resolved."""
    return directory / f"libs-{hashlib.sha256(' '.join(JARS).encode()).hexdigest()[:12]}"


def resolve(directory: Path) -> None:
    """Put the jars and all that they need into a directory: all of them, or none."""
    made = libraries(directory)
    if made.is_dir():
        return
    with tempfile.TemporaryDirectory(dir=directory) as name:
        work = Path(name)
        maven = MavenContext(repo_cache=work / "repository")
        environment = EnvironmentBuilder(maven, work / "environments", LinkStrategy.COPY).from_endpoint("+".join(JARS))
        jars = work / "libs"
        jars.mkdir()
        for jar in environment.all_jars:
            jar.rename(jars / jar.name)
        jars.rename(made)


if __name__ == "__main__":
    resolve(Path(sys.argv[1]))
