"""compose.yaml and the Dockerfile, checked as far as they can be where no Docker engine is: by their schema, by Kafka's
own reading of the broker's settings, and by running what the containers run on a real broker."""

import os
import re
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter

from engine.broker.docker import IMAGE, environment, variable
from engine.broker.home import Home
from engine.broker.java import java_command
from engine.broker.node import Node
from engine.broker.settings import QUICK
from engine.log.kafka.location import parse_location

ROOT = Path(__file__).parents[1]
COMPOSE = ROOT / "compose.yaml"
DOCKERFILE = ROOT / "Dockerfile"
DEADLINE_SECONDS = 180
PINNED = re.compile(r"[a-z/]+:[0-9]+\.[0-9]+\.[0-9]+[a-z0-9-]*")


class Service(BaseModel):
    """A service, as far as the tests read it."""

    model_config = ConfigDict(extra="ignore")
    image: str | None = None
    build: str | None = None
    command: list[str] = []
    environment: dict[str, str] = {}
    ports: list[str] = []
    volumes: list[str] = []
    healthcheck: dict[str, object] = {}
    depends_on: dict[str, dict[str, str]] = {}


class Compose(BaseModel):
    """The file, as far as the tests read it."""

    model_config = ConfigDict(extra="ignore")
    services: dict[str, Service]
    volumes: dict[str, None]


@pytest.fixture(scope="module")
def compose() -> Compose:
    return TypeAdapter(Compose).validate_python(yaml.safe_load(COMPOSE.read_text(encoding="utf-8")))


def conforms(file: Path) -> "subprocess.CompletedProcess[str]":
    """Compare a file with the schema of the Compose specification, which the checker brings along."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE_SECONDS)


def copied() -> list[str]:
    """Return what the Dockerfile copies from this checkout."""
    lines = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    return [name for line in lines for name in line.split()]


def test_the_file_conforms_to_the_compose_specification() -> None:
    done = conforms(COMPOSE)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("ports:", "port:"),
        ("service_healthy", "service_health"),
        ("retries: 6", "retries: {}"),
        ("build: .", "build: 1"),
    ],
)
def test_the_comparison_with_the_specification_finds_what_is_wrong(right: str, wrong: str, tmp_path: Path) -> None:
    text = COMPOSE.read_text(encoding="utf-8")
    assert right in text
    file = tmp_path / "compose.yaml"
    file.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    done = conforms(file)
    assert done.returncode == 1
    assert "Schema validation errors" in done.stdout


def test_every_service_waits_for_one_that_can_be_waited_for(compose: Compose) -> None:
    for service in compose.services.values():
        for name, dependency in service.depends_on.items():
            assert name in compose.services
            if dependency["condition"] == "service_healthy":
                assert compose.services[name].healthcheck
        named = {volume.partition(":")[0] for volume in service.volumes if not volume.startswith(".")}
        assert named <= set(compose.volumes)


def test_images_are_pinned_and_the_broker_is_the_one_that_the_tests_run(compose: Compose) -> None:
    assert compose.services["broker"].image == IMAGE
    images = [service.image for service in compose.services.values() if service.image is not None]
    images += re.findall(r"^FROM (\S+)", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(images) == 3
    for image in images:
        assert PINNED.fullmatch(image), image


def test_nothing_is_reached_from_outside_the_machine(compose: Compose) -> None:
    ports = [port for service in compose.services.values() for port in service.ports]
    assert ports == ["127.0.0.1:9092:9092"]


def test_the_broker_is_given_all_that_its_image_needs(compose: Compose) -> None:
    given = compose.services["broker"].environment
    started_by_us = environment(1, 1, 9092, given["CLUSTER_ID"], {})
    for name in QUICK:
        del started_by_us[variable(name)]
    assert given == {name: value.replace("node-1", "broker") for name, value in started_by_us.items()}


def test_kafka_itself_accepts_the_settings_of_the_broker(compose: Compose, tmp_path: Path) -> None:
    given = dict(compose.services["broker"].environment)
    cluster_id = given.pop("CLUSTER_ID")
    assert given.pop("KAFKA_HEAP_OPTS") == "-Xmx512m"
    settings = {name.removeprefix("KAFKA_").replace("_", ".").lower(): value for name, value in given.items()}
    assert settings.pop("log.dirs") in [volume.partition(":")[2] for volume in compose.services["broker"].volumes]
    node = Node(1, java_command(short_lived=True), Home(tmp_path))
    node.configure({**settings, "log.dirs": "data"})
    with node.begin_format(cluster_id) as program:
        printed = program.communicate(timeout=DEADLINE_SECONDS)[0].decode()
    assert program.returncode == 0, printed
    assert (tmp_path / "node-1" / "data" / "meta.properties").exists()


def test_what_the_containers_run_works_together(compose: Compose, broker: str) -> None:
    services = compose.services
    locations = {services[name].environment["RUNLINE_DATA"] for name in ("topics", "executor", "example")}
    (location,) = {parse_location(text) for text in locations}
    assert f"INTERNAL://{location.brokers}" in services["broker"].environment["KAFKA_ADVERTISED_LISTENERS"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RUNLINE_")}
    variables = {**kept, "RUNLINE_DATA": f"kafka://{broker}/compose-{os.urandom(6).hex()}"}

    def start(name: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "engine.cli", *services[name].command]
        return subprocess.Popen(
            command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    with start("topics") as topics:
        printed = topics.communicate(timeout=DEADLINE_SECONDS)[0]
        assert topics.returncode == 0, printed
    with start("executor") as executor:
        try:
            assert executor.stdout is not None
            assert any("Executing runs" in line for line in executor.stdout)
            with start("example") as example:
                printed = example.communicate(timeout=DEADLINE_SECONDS)[0]
        finally:
            executor.terminate()
        assert example.returncode == 0, printed
        assert "What is the capital of Brazil? Brasilia, user 42." in printed
        log = executor.communicate(timeout=DEADLINE_SECONDS)[0]
        assert executor.returncode == 0, log


def test_the_applications_are_mounted_where_the_image_looks_for_them(compose: Compose) -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    (directory,) = re.findall(r"^WORKDIR (\S+)$", text.partition("--from=build")[2], re.MULTILINE)
    for name in ("topics", "executor", "example"):
        assert compose.services[name].build == "."
        assert compose.services[name].volumes == [f"./examples:{directory}/examples:ro"]


def test_the_image_runs_as_a_user_without_rights() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    assert re.findall(r"^USER (\S+)$", text, re.MULTILINE) == ["runline"]
    assert re.search(r"useradd --uid [1-9]\d{4} .*runline$", text, re.MULTILINE)
    assert text.index("USER runline") < text.index("ENTRYPOINT")


def test_the_image_is_built_from_what_the_package_needs(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in copied():
        (source / name).symlink_to(ROOT / name)
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False, timeout=DEADLINE_SECONDS)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {"engine/cli/app.py", "engine/py.typed", "projections/cli/__init__.py", "consumers/py.typed"} <= names
