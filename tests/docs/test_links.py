"""What the pages link to is there."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import README, ROOT, anchors

PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_page_leads_to_one_and_to_a_heading_in_it(page: Path) -> None:
    links = re.findall(r"\]\((?!https:)([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8"))
    for place, anchor in links:
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), place
        assert not anchor or anchor in anchors(target), f"{place}#{anchor}"


def test_the_first_page_leads_to_all_others() -> None:
    links = re.findall(r"\]\((docs/[^)#]*)", README.read_text(encoding="utf-8"))
    assert {ROOT / link for link in links} == set(PAGES[1:])
