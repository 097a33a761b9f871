"""The options that commands share, and the settings and the output they lead to."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from engine.cli.failures import ArgumentsError
from engine.cli.logs import configure_logs
from engine.cli.output import Output, printing_aside
from engine.cli.secrets import hidden
from engine.settings import KAFKA, Loaded, load_settings

if TYPE_CHECKING:
    from engine.registry import Registry


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Options:
    """What every command takes."""

    config: Annotated[Path | None, Parameter(name="--config", help="A TOML file with settings [runline.toml]")] = None
    json: Annotated[
        bool, Parameter(name="--json", negative="", show_default=False, help="Print one JSON document on stdout")
    ] = False
    verbose: Annotated[
        bool,
        Parameter(
            name="--verbose", negative="", show_default=False, help="Show log records from INFO on, and tracebacks"
        ),
    ] = False

    def load(self) -> Loaded:
        """Return the settings in force.

        Raises:
            SettingsError: A setting is not what was expected.
        """
        return load_settings(self._given(), self.config)

    def output(self) -> Output:
        """Configure the log records and return what to print on."""
        configure_logs(verbose=self.verbose)
        return Output(as_json=self.json)

    def registry(self) -> "Registry | None":
        """Return the application's registry, or None when no application is named.

        Raises:
            ApplicationError: It cannot be loaded.
        """
        from engine.application import load_application  # noqa: PLC0415 - only where an application is named

        app = self.load().settings.app
        if app is None:
            return None
        with printing_aside(as_json=self.json):
            return load_application(app)

    def repeated(self) -> str:
        """Return these options as they would be typed again for another command, with a space in front of each."""
        words = [
            (name, text)
            for name, value in self._given().items()
            for text in (_pairs(value) if isinstance(value, dict) else [str(value)])
        ]
        return "".join(f" --{name.replace('_', '-')} {shlex.quote(text)}" for name, text in words)

    def _given(self) -> dict[str, object]:
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        given = {name: value for name, value in given.items() if value is not None and not isinstance(value, bool)}
        if (properties := given.get(KAFKA)) is not None:
            given[KAFKA] = _properties(properties)
        return given


def _pairs(properties: dict[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in hidden(properties).items()]


def _properties(texts: Sequence[str]) -> dict[str, str]:
    properties: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            # Not the whole text: it may be a secret whose name was forgotten.
            raise ArgumentsError(
                "Expected --kafka NAME=VALUE, such as --kafka security.protocol=SSL, "
                f"but found a text of {len(text)} characters without a name and '='."
            )
        properties[name.strip()] = value
    return properties


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ReadingOptions(Options):
    """What a command takes that reads a log."""

    data: Annotated[
        str | None, Parameter(name="--data", help="The log: a directory, or kafka://HOST:PORT,.../PREFIX [data]")
    ] = None
    kafka: Annotated[
        list[str] | None,
        Parameter(
            name="--kafka", negative="", allow_leading_hyphen=True, help="NAME=VALUE: a property of the Kafka client"
        ),
    ] = None


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ViewsOptions(ReadingOptions):
    """What a command takes that asks or folds the views of a log."""

    views: Annotated[
        str | None,
        Parameter(name="--views", help="The directory of the log's views [in the log's, or in the user's cache]"),
    ] = None


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class CheckingOptions(Options):
    """What a command takes that looks at definitions."""

    app: Annotated[
        str | None, Parameter(name="--app", help="The application: module:attribute or file.py:attribute of a Registry")
    ] = None


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class WritingOptions(ReadingOptions):
    """What a command takes that writes to a log."""

    durability: Annotated[
        Literal["fsync", "process"] | None,
        Parameter(name="--durability", help="What survives: loss of power, or the death of the process [fsync]"),
    ] = None


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class PublishingOptions(WritingOptions, CheckingOptions):
    """What a command takes that checks a definition and writes it to a log."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class EngineOptions(PublishingOptions):
    """What a command takes that executes runs."""

    nodes_running_max: Annotated[
        int | None, Parameter(name="--nodes-running-max", help="Nodes that run at once [64]")
    ] = None
    nodes_running_per_workflow_max: Annotated[
        int | None, Parameter(name="--nodes-running-per-workflow-max", help="Nodes of one workflow that run at once")
    ] = None


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class AllOptions(EngineOptions, ViewsOptions):
    """What can be set."""


READING_OPTIONS = ReadingOptions()
VIEWS_OPTIONS = ViewsOptions()
CHECKING_OPTIONS = CheckingOptions()
WRITING_OPTIONS = WritingOptions()
PUBLISHING_OPTIONS = PublishingOptions()
ENGINE_OPTIONS = EngineOptions()
ALL_OPTIONS = AllOptions()
