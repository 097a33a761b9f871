"""Kafka's own classes, downloaded once: a directory of jars that is complete or not there."""

import fcntl
import hashlib
import os
import tempfile
from pathlib import Path
from typing import Final

KAFKA_VERSION: Final = "4.3.1"
_LOG4J_VERSION: Final = "2.25.3"
_JARS: Final = "+".join(
    (
        f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}",
        # Named, because the resolver would otherwise take another version than the broker's own.
        f"org.apache.kafka:kafka-clients:{KAFKA_VERSION}",
        f"org.apache.logging.log4j:log4j-slf4j-impl:{_LOG4J_VERSION}",
        f"org.apache.logging.log4j:log4j-core:{_LOG4J_VERSION}",
    )
)
_NAME: Final = f"kafka-{KAFKA_VERSION}-{hashlib.sha256(_JARS.encode()).hexdigest()[:12]}"
_REPOSITORIES: Final = {"central": "https://repo.maven.apache.org/maven2"}


def kafka_jars() -> Path:
    """Return the directory with the jars; the first time they are downloaded, 44 MB.

    They are kept in `$XDG_CACHE_HOME/runline`, else `~/.cache/runline`. Neither the resolver's own cache nor Maven's is
    used: both take what an interrupted download left for whole.

    Raises:
        ImportError: The resolver is not installed.
        Exception: The resolver's own, when the jars cannot be had.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "runline"
    made = cache / _NAME
    if not made.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # others wait rather than download the same
            if not made.is_dir():
                with tempfile.TemporaryDirectory(dir=cache) as directory:
                    _download(Path(directory)).rename(made)
    return made


def _download(directory: Path) -> Path:
    """Download the jars and return the directory that they are in."""
    from jgo.env import EnvironmentBuilder, LinkStrategy  # noqa: PLC0415 - comes with an extra
    from jgo.maven import MavenContext  # noqa: PLC0415 - the same

    maven = MavenContext(repo_cache=directory / "repository", remote_repos=_REPOSITORIES)
    builder = EnvironmentBuilder(maven, directory / "environments", LinkStrategy.COPY)
    jars = directory / "jars"
    jars.mkdir()
    for jar in builder.from_endpoint(_JARS).all_jars:
        jar.rename(jars / jar.name)
    return jars
