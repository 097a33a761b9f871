"""Every planted bug is caught, from a fresh seed on; without a bug the same scenarios break no promise."""

import random
import re

import pytest

from tests.checkers import CHECKERS, name_of
from tests.planted.__main__ import BEGINNING, END, PAGE
from tests.planted.bugs import BUGS
from tests.planted.catching import SCENARIOS, STORM, catch, violations_of
from tests.planted.planting import Bug, planted

BUGS_MIN = 25


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_caught(bug: Bug) -> None:
    first = random.randrange(2**31)
    print(f"seed {first}")
    found = catch(bug, first)
    assert found is not None, f"{bug.name} was not caught within {bug.within} seeds from {first} on"
    print(f"caught by {', '.join(found.checkers)} after {found.seeds} seeds: {found.text}")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_without_a_bug_breaks_no_promise(scenario: str) -> None:
    seed = random.randrange(2**31)
    print(f"seed {seed}")
    assert violations_of(scenario, seed) == []


def test_what_was_planted_is_gone_afterwards() -> None:
    bug = next(bug for bug in BUGS if bug.name == "no-prev-test")
    with planted(bug):
        assert violations_of(bug.hunt, 0)
    assert violations_of(bug.hunt, 0) == []


def test_the_document_names_every_bug_and_checkers_that_exist() -> None:
    text = PAGE.read_text()
    rows = [
        [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        for line in text[text.index(BEGINNING) : text.index(END)].splitlines()
        if line.startswith("| `")
    ]
    assert [row[0] for row in rows] == [bug.name for bug in BUGS]
    assert [int(row[5]) for row in rows] == [bug.within for bug in BUGS]
    checkers = {name_of(checker) for _, checker in CHECKERS}
    # Every checker catches something.
    assert {name for row in rows for name in re.findall(r"[a-z_.]+", row[3])} == checkers | {"simulation"}
    assert set(re.findall(r"`([a-z]+\.[a-z_]+)`", text[: text.index(BEGINNING)])) == checkers


def test_there_are_many_bugs_of_different_names_and_every_scenario_catches_one() -> None:
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= BUGS_MIN
    assert {bug.hunt for bug in BUGS} == {STORM, *SCENARIOS}
