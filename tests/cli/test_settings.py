from pathlib import Path

import pytest
from pydantic import ValidationError

from engine.cli.options import ReadingOptions
from engine.settings import SettingsError, load_settings
from tests.cli.conftest import Runline


def test_an_argument_wins_over_the_environment_over_the_file_over_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("runline.toml").write_text('data = "from-file"\nnodes_running_max = 3\napp = "a:b"\n')
    monkeypatch.setenv("RUNLINE_DATA", "from-environment")
    monkeypatch.setenv("RUNLINE_NODES_RUNNING_MAX", "5")
    loaded = load_settings({"data": Path("from-argument")})
    assert loaded.settings.data == Path("from-argument")
    assert loaded.settings.nodes_running_max == 5
    assert loaded.settings.app == "a:b"
    assert loaded.settings.nodes_running_per_workflow_max is None
    assert loaded.sources == {
        "data": "argument --data",
        "kafka": "default",
        "views": "default",
        "app": "file runline.toml",
        "durability": "environment RUNLINE_DURABILITY",
        "nodes_running_max": "environment RUNLINE_NODES_RUNNING_MAX",
        "nodes_running_per_workflow_max": "default",
    }


def test_views_are_in_the_directory_of_an_embedded_log_unless_said_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings({}).settings.views == Path("data/views")
    assert load_settings({"data": "other"}).settings.views == Path("other/views")
    monkeypatch.setenv("RUNLINE_VIEWS", "elsewhere")
    loaded = load_settings({"data": "other"})
    assert loaded.settings.views == Path("elsewhere")
    assert loaded.sources["views"] == "environment RUNLINE_VIEWS"
    assert load_settings({"views": "here"}).settings.views == Path("here")


@pytest.mark.parametrize("views", ["", "http://x", "kafka://x/y", "a\0b"])
def test_views_are_in_a_directory_or_refused(views: str) -> None:
    with pytest.raises(SettingsError, match="The setting views "):
        load_settings({"views": views})


def test_every_log_on_kafka_has_views_of_its_own_in_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def views(data: str) -> Path:
        return load_settings({"data": data}).settings.views

    first = views("kafka://a:1,b:2/orders")
    assert first.parent == tmp_path / "runline" / "views"
    assert first.name.startswith("orders-")
    assert views("kafka://b:2,a:1/orders") == first
    assert len({first, views("kafka://a:1/orders"), views("kafka://a:1,b:2/other")}) == 3
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # is to be ignored, the standard says
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert views("kafka://a:1,b:2/orders") == tmp_path / "home" / ".cache" / "runline" / "views" / first.name


@pytest.mark.parametrize(
    ("setting", "text", "said"),
    [
        ("data", "", "expected a directory or kafka://HOST:PORT,.../PREFIX, but found an empty text"),
        ("data", "http://x", "expected a directory or kafka://HOST:PORT,.../PREFIX, but found 'http://x'"),
        ("data", "KAFKA://h:1/p", "or kafka://HOST:PORT,.../PREFIX, but found 'KAFKA://h:1/p'"),
        ("data", "new/" + 300 * "x", "whose name has at most 255 bytes, but found one with 300"),
        ("data", 2500 * "a/", "at a path of at most 4000 bytes, but found 4999"),
        ("data", "odd/\udcff\udcfe", r"whose name is in UTF-8, but found 'odd/\udcff\udcfe'"),
        ("views", "", "expected a directory, but found an empty text"),
        ("views", 300 * "x", "whose name has at most 255 bytes, but found one with 300"),
    ],
)
def test_a_name_that_no_directory_of_a_log_can_have_is_wrong_usage_and_nothing_is_written(
    runline: Runline, setting: str, text: str, said: str
) -> None:
    for command in ("runs", "doctor", "create"):
        words = ("greet", "--data", text) if command == "create" else (f"--{setting}", text)
        if command == "runs" or setting == "data":
            answer = runline(command, *words)
            assert (answer.code, answer.out) == (2, "")
            assert f"error[settings]: The setting {setting} (argument --{setting}): " in answer.err
            assert said in answer.err
    assert list(Path().iterdir()) == []


def test_a_null_character_in_a_directory_of_the_file_is_named(runline: Runline) -> None:
    Path("runline.toml").write_text('data = "a\\u0000b"\n')
    answer = runline("runs")
    assert answer.code == 2
    assert r"(file runline.toml): expected a directory whose name has no null characters, but found 'a\x00b'" in (
        answer.err
    )


def test_a_wrong_place_of_the_log_is_one_problem_and_not_two() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"data": 1})
    assert "views" not in str(caught.value)


def test_settings_cannot_be_changed() -> None:
    settings = load_settings({}).settings
    with pytest.raises(ValidationError):
        settings.data = Path("other")


def test_another_file_is_named_by_the_option_or_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first, second = tmp_path / "first.toml", tmp_path / "second.toml"
    first.write_text("nodes_running_max = 1")
    second.write_text("nodes_running_max = 2")
    monkeypatch.setenv("RUNLINE_CONFIG", str(first))
    assert load_settings({}).settings.nodes_running_max == 1
    assert load_settings({}, second).settings.nodes_running_max == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("node_running_max = 3", "did you mean 'nodes_running_max'?"),
        ("nodes_running_max = 0", "nodes_running_max (file runline.toml)"),
        ("nodes_running_max = true", "expected an integer"),
        ("nodes_running_max = 2.5", "nodes_running_max (file runline.toml)"),
        ('durability = "always"', "durability (file runline.toml)"),
        ("data = 1", "data (file runline.toml)"),
        ("[data]", "data (file runline.toml)"),
        ("data", "TOML"),
        ("\xff", "TOML"),
    ],
)
def test_a_wrong_file_is_refused_and_its_key_named(monkeypatch: pytest.MonkeyPatch, text: str, said: str) -> None:
    monkeypatch.delenv("RUNLINE_DURABILITY")
    Path("runline.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError) as refused:
        load_settings({})
    assert said in str(refused.value)


def test_a_wrong_environment_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNLINE_NODES_RUNNING_MAX", "many")
    with pytest.raises(SettingsError, match=r"environment RUNLINE_NODES_RUNNING_MAX.*'many'"):
        load_settings({})


def test_config_says_where_each_setting_comes_from(runline: Runline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNLINE_NODES_RUNING_MAX", "5")
    answer = runline("config", "--data", "here", "--json")
    assert answer.code == 0
    assert answer.json["settings"]["data"] == {"value": "here", "source": "argument --data"}
    assert answer.json["settings"]["nodes_running_max"] == {"value": 64, "source": "default"}
    assert answer.json["unknown_environment"] == ["RUNLINE_NODES_RUNING_MAX"]
    assert "RUNLINE_NODES_RUNING_MAX is no setting" in runline("config").out


def test_wrong_settings_are_wrong_usage(runline: Runline) -> None:
    assert runline("config", "--nodes-running-max", "0").code == 2
    assert runline("config", "--config", "nowhere.toml").code == 2
    Path("runline.toml").write_text("nonsense = 1")
    answer = runline("runs")
    assert answer.code == 2
    assert "error[settings]" in answer.err


@pytest.mark.parametrize("name", ["data", "./kafka", "a b/ü", "-x", "C:\\data", "~", "./http://x", "kafka"])
def test_a_directory_is_a_directory_whatever_its_name(name: str) -> None:
    assert load_settings({"data": name}).settings.data == Path(name)


def test_a_location_on_kafka_is_one_wherever_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    place = "kafka://broker-1:9092,[::1]:9093/orders"
    assert load_settings({"data": place}).settings.data == place
    monkeypatch.setenv("RUNLINE_DATA", place)
    assert load_settings({}).settings.data == place
    monkeypatch.delenv("RUNLINE_DATA")
    Path("runline.toml").write_text(f'data = "{place}"')
    assert load_settings({}).settings.data == place


@pytest.mark.parametrize("place", ["kafka:", "kafka:/b:1/x", "kafka://b/x", "kafka://b:1/", "kafka://b:99999/x"])
def test_a_location_on_kafka_that_is_none_is_wrong_usage(runline: Runline, place: str) -> None:
    answer = runline("config", "--data", place)
    assert answer.code == 2
    assert "The setting data (argument --data): expected kafka://HOST:PORT" in answer.err


def test_properties_of_kafka_are_merged_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("runline.toml").write_text(
        '[runline.kafka]\n"security.protocol" = "SSL"\n"session.timeout.ms" = 9000\nsocket.keepalive.enable = true\n'
        '"sasl.username" = "file"\nlog_level = 6\n'
    )
    monkeypatch.setenv("RUNLINE_KAFKA_SASL_USERNAME", "environment")
    monkeypatch.setenv("RUNLINE_KAFKA_CLIENT_ID", "environment")
    loaded = load_settings({"kafka": {"client.id": "argument"}})
    assert loaded.settings.kafka == {
        "security.protocol": "SSL",
        "session.timeout.ms": "9000",
        "socket.keepalive.enable": "true",
        "sasl.username": "environment",
        "log_level": "6",
        "client.id": "argument",
    }
    assert loaded.sources["kafka.log_level"] == "file runline.toml"
    assert loaded.sources["kafka.sasl.username"] == "environment RUNLINE_KAFKA_SASL_USERNAME"
    assert loaded.sources["kafka.client.id"] == "argument --kafka"
    assert loaded.unknown == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kafka = 3", "expected a table of properties"),
        ('[kafka]\n"client.id" = [1]', "as client.id"),
        ("runline = 3", "Expected a table of settings as 'runline'"),
        ('data = "a"\n[runline]\ndata = "b"', "found twice: data"),
        ("[runline.kafak]", "did you mean 'kafka'?"),
    ],
)
def test_a_wrong_table_is_refused_and_named(text: str, said: str) -> None:
    Path("runline.toml").write_text(text)
    with pytest.raises(SettingsError) as refused:
        load_settings({})
    assert said in str(refused.value)


def test_a_variable_for_all_properties_at_once_is_refused_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNLINE_KAFKA", "sasl.password=hush")
    with pytest.raises(SettingsError, match=r"environment RUNLINE_KAFKA\): expected a table") as refused:
        load_settings({})
    assert "hush" not in str(refused.value)


def test_secrets_are_never_shown(runline: Runline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNLINE_KAFKA_SASL_PASSWORD", "hush")
    Path("runline.toml").write_text('[kafka]\n"ssl.key.pem" = "hush"\n')
    for words in (["config"], ["config", "--json"], ["runs", "--verbose", "--data", "kafka://127.0.0.1:1/a"]):
        answer = runline(*words, "--kafka", "ssl.key.password=hush", "--kafka", "no.such.property=1")
        assert "hush" not in answer.out + answer.err
    assert "kafka.ssl.key.pem  " in runline("config").out
    wrong = runline("config", "--kafka", "hush")
    assert (wrong.code, "hush" in wrong.err) == (2, False)


def test_a_command_line_to_repeat_names_properties_without_their_secrets() -> None:
    options = ReadingOptions(data="kafka://b:1/x", kafka=["client.id=a b", "sasl.password=hush"])
    assert options.repeated() == " --data kafka://b:1/x --kafka 'client.id=a b' --kafka 'sasl.password=********'"
