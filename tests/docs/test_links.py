"""What the pages link to is there."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import COMMAND_LINE, KAFKA, README, WORKFLOWS, anchors


@pytest.mark.parametrize("page", [README, WORKFLOWS, COMMAND_LINE, KAFKA], ids=lambda page: page.name)
def test_every_link_to_a_page_leads_to_one_and_to_a_heading_in_it(page: Path) -> None:
    links = re.findall(r"\]\((?!https:)([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8"))
    assert len(links) > 2
    for place, anchor in links:
        target = (page.parent / place).resolve() if place else page
        assert target.is_file(), place
        assert not anchor or anchor in anchors(target), f"{place}#{anchor}"
