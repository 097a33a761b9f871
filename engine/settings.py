"""Settings: what is in force, from arguments, the environment, a file and defaults, in this order."""

import os
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from engine.errors import RunlineError
from engine.limits import NODES_RUNNING_MAX
from engine.log.embedded.failures import name_problem
from engine.log.opening import is_kafka, location_problem
from engine.workflow.names import listed, suggest

FILE: Final = "runline.toml"
"""The file that is read from the working directory when there is one."""
PREFIX: Final = "RUNLINE_"
"""Begins the names of environment variables: `RUNLINE_NODES_RUNNING_MAX`."""
KAFKA: Final = "kafka"
"""The setting with the properties of the Kafka client."""
_CONFIG_VARIABLE: Final = f"{PREFIX}CONFIG"
_BROKER_VARIABLE: Final = f"{PREFIX}BROKER"
_KAFKA_PREFIX: Final = f"{PREFIX}KAFKA_"
_VIEWS: Final = "views"
"""The folder of the views inside an embedded log's directory."""
_DIGEST_CHARACTERS: Final = 12
_TABLE: Final = "runline"
"""Settings may stand in a table of this name, for files that others read too."""


class SettingsError(RunlineError):
    """A setting is not what was expected; the text names where it comes from."""

    code = "settings"


def _no_truth_value(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("expected an integer")  # noqa: TRY004 - pydantic turns ValueError into its own
    return value


def _location(value: object) -> Path | str:
    if isinstance(value, str) and is_kafka(value):
        # Only here: whoever has no brokers need not wait for their client to load.
        from engine.log.kafka import parse_location  # noqa: PLC0415

        try:
            return str(parse_location(value))
        except RunlineError as error:
            raise ValueError(str(error).removesuffix(".")) from error
    if not isinstance(value, str | Path):
        raise ValueError("expected a directory or kafka://HOST:PORT/PREFIX")  # noqa: TRY004 - pydantic's own
    if problem := location_problem(value):
        raise ValueError(problem)
    return Path(value)


def _directory(value: object) -> object:
    if isinstance(value, str) and not value:
        raise ValueError("expected a directory, but found an empty text")
    if isinstance(value, str | Path):
        scheme, mark, _ = str(value).partition("://")
        if mark and "/" not in scheme:
            raise ValueError(f"expected a directory, but found {str(value)!r:.80}")
        if problem := name_problem(Path(value)):
            raise ValueError(problem)
    return value


def _place_of_views(found: Mapping[str, object]) -> Path:
    """Return where the views of a log are unless somebody says otherwise: a place that no other log has."""
    data = found["data"]
    if isinstance(data, Path):
        return data / _VIEWS
    from engine.log.kafka import parse_location  # noqa: PLC0415 - as above

    location = parse_location(str(data))
    known = "\n".join([*sorted(location.brokers.split(",")), location.prefix])
    name = f"{location.prefix}-{sha256(known.encode()).hexdigest()[:_DIGEST_CHARACTERS]}"
    return _cache() / "runline" / _VIEWS / name


def _cache() -> Path:
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if given.is_absolute():
        return given
    try:
        return Path.home() / ".cache"
    except RuntimeError:
        # A user without a home, as in some containers.
        return Path(tempfile.gettempdir())


def _properties(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError("expected a table of properties")  # noqa: TRY004 - the same
    found: dict[str, str] = {}
    for name, each in value.items():
        if isinstance(each, Mapping):
            # A name that is not in quotes is a path to TOML.
            found |= {f"{name}.{inner}": text for inner, text in _properties(each).items()}
        elif isinstance(each, bool):
            found[name] = str(each).lower()
        elif isinstance(each, str | int | float):
            found[name] = str(each)
        else:
            raise ValueError(f"expected a text, a number or a truth value as {name}")  # noqa: TRY004 - the same
    return found


_Count = Annotated[int, Field(ge=1), BeforeValidator(_no_truth_value)]


class Settings(BaseSettings):
    """How this process works; immutable.

    Attributes:
        data: Where the log is: the directory of an embedded one, or `kafka://HOST:PORT[,HOST:PORT...]/PREFIX`.
        kafka: Properties of librdkafka for all Kafka clients, by their own names.
        views: The directory of the log's views: `views` in the directory of an embedded log; for a log on Kafka a
            directory of its own in the user's cache.
        app: The application, as `module:attribute` or `file.py:attribute`, or None.
        durability: What acknowledged records survive: `fsync` loss of power, `process` the death of the process.
        nodes_running_max: Nodes that run at once.
        nodes_running_per_workflow_max: Nodes of one workflow that run at once, or None for no such limit.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid")

    data: Annotated[Path | str, BeforeValidator(_location)] = Path("data")
    kafka: Annotated[Mapping[str, str], NoDecode, BeforeValidator(_properties)] = Field(default_factory=dict)
    views: Annotated[Path, BeforeValidator(_directory)] = Field(default_factory=_place_of_views)
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
        sources: For every setting: `argument --data`, `environment RUNLINE_DATA`, `file runline.toml` or `default`;
            and for every property of the Kafka client, as `kafka.NAME`.
        unknown: Environment variables that begin like ours and are no setting.
    """

    settings: Settings
    sources: Mapping[str, str]
    unknown: tuple[str, ...]


def load_settings(arguments: Mapping[str, object], config: Path | None = None) -> Loaded:
    """Return the settings in force.

    Args:
        arguments: Settings given by name; they win. Properties of the Kafka client win one by one.
        config: A TOML file; else the one that the environment variable RUNLINE_CONFIG names; else runline.toml in the
            working directory, when there is one. Paths in it are relative to the working directory.

    Raises:
        SettingsError: The file cannot be read or has an unknown key, or a value is not what its setting expects.
    """
    values: dict[str, object] = {}
    sources = dict.fromkeys(Settings.model_fields, "default")
    file = _file(config)
    if file is not None:
        _put(values, sources, _from_file(file), lambda _: f"file {file}")
    _put(values, sources, _from_environment(), lambda name: f"environment {_variable(name)}")
    known = {name: value for name, value in arguments.items() if name in Settings.model_fields}
    _put(values, sources, known, lambda name: f"argument --{name.partition('.')[0].replace('_', '-')}")
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(
            "; ".join(
                _problem(details["loc"], details["msg"], values, sources)
                for details in error.errors()
                # What follows from another setting is wrong only because that one is.
                if details["type"] != "default_factory_not_called"
            )
        ) from error
    return Loaded(settings, sources, _unknown_variables())


def _put(
    values: dict[str, object], sources: dict[str, str], given: Mapping[str, object], source: Callable[[str], str]
) -> None:
    """Put what one source gives over what the ones before gave."""
    for name, value in given.items():
        sources[name] = source(name)
        properties, before = _known_properties(value), values.get(name)
        if name != KAFKA or properties is None:
            values[name] = value
            continue
        sources |= {f"{KAFKA}.{each}": source(f"{KAFKA}.{each}") for each in properties}
        values[name] = {**before, **properties} if isinstance(before, Mapping) else properties


def _known_properties(value: object) -> dict[str, str] | None:
    """Return properties one by one, or None for what the validation is to refuse."""
    try:
        return _properties(value)
    except ValueError:
        return None


def _variable(name: str) -> str:
    return f"{PREFIX}{name.upper().replace('.', '_')}"


def _problem(
    location: tuple[int | str, ...], message: str, values: Mapping[str, object], sources: Mapping[str, str]
) -> str:
    name = str(location[0])
    text = f"{message[:1].lower()}{message[1:]}".removeprefix("value error, ")
    # Properties may hold secrets.
    found = "" if name == KAFKA or "but found" in text else f", found {values.get(name)!r}"
    return f"The setting {name} ({sources[name]}): {text}{found}."


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
    table = found.pop(_TABLE, {})
    if not isinstance(table, Mapping):
        raise SettingsError(f"Expected a table of settings as {_TABLE!r} in {path}, but found {table!r}.")
    if twice := found.keys() & table.keys():
        raise SettingsError(f"Expected each setting once in {path}, but found twice: {listed(sorted(twice))}.")
    found |= table
    known = list(Settings.model_fields)
    for key in found:
        if key not in known:
            raise SettingsError(
                f"Unknown key {key!r} in {path}{suggest(key, known)}", hint=f"There are: {listed(known)}."
            )
    return found


def _from_environment() -> dict[str, object]:
    found: dict[str, object] = dict(EnvSettingsSource(Settings)())
    properties = {
        name.removeprefix(_KAFKA_PREFIX).lower().replace("_", "."): value
        for name, value in os.environ.items()
        if name.startswith(_KAFKA_PREFIX) and value
    }
    if properties:
        found.setdefault(KAFKA, properties)
    return found


def _unknown_variables() -> tuple[str, ...]:
    known = {_variable(name) for name in Settings.model_fields} | {_CONFIG_VARIABLE, _BROKER_VARIABLE}
    return tuple(
        name
        for name in sorted(os.environ)
        if name.upper().startswith(PREFIX) and name.upper() not in known and not name.startswith(_KAFKA_PREFIX)
    )
