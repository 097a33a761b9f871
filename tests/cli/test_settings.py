from pathlib import Path

import pytest
from pydantic import ValidationError

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
        "app": "file runline.toml",
        "durability": "environment RUNLINE_DURABILITY",
        "nodes_running_max": "environment RUNLINE_NODES_RUNNING_MAX",
        "nodes_running_per_workflow_max": "default",
    }


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
