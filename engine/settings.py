"""Settings: what is in force, from arguments, the environment, a file and defaults, in this order."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from engine.errors import RunlineError
from engine.limits import NODES_RUNNING_MAX
from engine.workflow.names import listed, suggest

FILE: Final = "runline.toml"
"""The file that is read from the working directory when there is one."""
PREFIX: Final = "RUNLINE_"
"""Begins the names of environment variables: `RUNLINE_NODES_RUNNING_MAX`."""
_CONFIG_VARIABLE: Final = f"{PREFIX}CONFIG"


class SettingsError(RunlineError):
    """A setting is not what was expected; the text names where it comes from."""

    code = "settings"


def _no_truth_value(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("expected an integer")  # noqa: TRY004 - pydantic turns ValueError into its own
    return value


_Count = Annotated[int, Field(ge=1), BeforeValidator(_no_truth_value)]


class Settings(BaseSettings):
    """How this process works; immutable.

    Attributes:
        data: Directory of the embedded log.
        app: The application, as `module:attribute` or `file.py:attribute`, or None.
        durability: What acknowledged records survive: `fsync` loss of power, `process` the death of the process.
        nodes_running_max: Nodes that run at once.
        nodes_running_per_workflow_max: Nodes of one workflow that run at once, or None for no such limit.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid")

    data: Path = Path("data")
    app: str | None = None
    durability: Literal["fsync", "process"] = "fsync"
    nodes_running_max: _Count = NODES_RUNNING_MAX
    nodes_running_per_workflow_max: _Count | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the library's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from arguments only: `load_settings` asks the other sources itself, to know which gave what."""
        return (init_settings,)


class Loaded(NamedTuple):
    """Settings and where they come from.

    Attributes:
        settings: The settings in force.
        sources: For every setting: `argument --data`, `environment RUNLINE_DATA`, `file runline.toml` or `default`.
        unknown: Environment variables that begin like ours and are no setting.
    """

    settings: Settings
    sources: Mapping[str, str]
    unknown: tuple[str, ...]


def load_settings(arguments: Mapping[str, object], config: Path | None = None) -> Loaded:
    """Return the settings in force.

    Args:
        arguments: Settings given by name; they win.
        config: A TOML file; else the one that the environment variable RUNLINE_CONFIG names; else runline.toml in the
            working directory, when there is one. Paths in it are relative to the working directory.

    Raises:
        SettingsError: The file cannot be read or has an unknown key, or a value is not what its setting expects.
    """
    values: dict[str, object] = {}
    sources = dict.fromkeys(Settings.model_fields, "default")
    file = _file(config)
    if file is not None:
        values = _from_file(file)
        sources |= dict.fromkeys(values, f"file {file}")
    environment = EnvSettingsSource(Settings)()
    values |= environment
    sources |= {name: f"environment {PREFIX}{name.upper()}" for name in environment}
    values |= arguments
    sources |= {name: f"argument --{name.replace('_', '-')}" for name in arguments if name in sources}
    values = {name: value for name, value in values.items() if name in Settings.model_fields}
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(
            "; ".join(_problem(details["loc"], details["msg"], values, sources) for details in error.errors())
        ) from error
    return Loaded(settings, sources, _unknown_variables())


def _problem(
    location: tuple[int | str, ...], message: str, values: Mapping[str, object], sources: Mapping[str, str]
) -> str:
    name = str(location[0])
    text = f"{message[:1].lower()}{message[1:]}".removeprefix("value error, ")
    return f"The setting {name} ({sources[name]}): {text}, found {values.get(name)!r}."


def _file(config: Path | None) -> Path | None:
    if config is None and os.environ.get(_CONFIG_VARIABLE):
        config = Path(os.environ[_CONFIG_VARIABLE])
    if config is None:
        config = Path(FILE)
        return config if config.is_file() else None
    if not config.is_file():
        raise SettingsError(f"Expected a file with settings at {config}, but there is none.")
    return config


def _from_file(path: Path) -> dict[str, object]:
    try:
        found = TomlConfigSettingsSource(Settings, path)()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"Expected TOML in {path}, but found: {error}.") from error
    except OSError as error:
        raise SettingsError(f"Expected a readable file at {path}, but found: {error.strerror}.") from error
    known = list(Settings.model_fields)
    for key in found:
        if key not in known:
            raise SettingsError(
                f"Unknown key {key!r} in {path}{suggest(key, known)}", hint=f"There are: {listed(known)}."
            )
    return found


def _unknown_variables() -> tuple[str, ...]:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | {_CONFIG_VARIABLE}
    return tuple(name for name in sorted(os.environ) if name.upper().startswith(PREFIX) and name.upper() not in known)
