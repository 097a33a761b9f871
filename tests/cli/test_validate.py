from tests.cli.conftest import APP, DATA, Runline


def test_validate_lists_every_finding_one_per_line(runline: Runline) -> None:
    answer = runline("validate", DATA / "wrong.yaml")
    assert answer.code == 2
    lines = answer.out.splitlines()
    assert len(lines) >= 2
    assert all("wrong.yaml" in line for line in lines)
    assert any("did you mean 'code'?" in line for line in lines)
    document = runline("validate", DATA / "wrong.yaml", "--json").json
    assert document["valid"] is False
    assert len(document["findings"]) == len(lines)


def test_validate_says_whether_functions_were_checked(runline: Runline) -> None:
    unchecked = runline("validate", DATA / "greet.yaml")
    assert unchecked.code == 0
    assert "functions were not checked" in unchecked.out
    checked = runline("validate", DATA / "greet.yaml", "--app", APP)
    assert checked.code == 0
    assert "not checked" not in checked.out


def test_a_file_that_cannot_be_read_is_a_finding(runline: Runline) -> None:
    answer = runline("validate", "nowhere.yaml", "--json")
    assert answer.code == 2
    assert "nowhere.yaml" in answer.json["findings"][0]["message"]
