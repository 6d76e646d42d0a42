"""The weeks as data: everything that is named is there, and what is aimed at is cut."""

from __future__ import annotations

import pytest

from probe import measurements
from probe.lab.scenario import Scenario
from probe.lab.stories import HOUR, START, STORIES, Story, find
from probe.lab.world import OPERATORS
from probe.model.errors import UsageError


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_a_story_names_what_is_there(story: Story) -> None:
    assert find(story.name) is story
    numbers = {operator.name: operator.asn for operator in OPERATORS}
    # The lab's routers are attributed by these numbers, so a line must tell its own.
    assert {home.operator: home.line.asn for home in story.homes}.items() <= numbers.items()
    assert {task.measurement for task in story.tasks} <= set(measurements.names())
    assert any(task.hit for task in story.tasks)
    assert any(not task.hit for task in story.tasks)
    # Two homes at least on each line: one alone opens nothing, and nothing of it is shown.
    assert all(home.homes >= 2 for home in story.homes)
    assert {box.at.partition(".")[0] for box in story.boxes} == {home.operator for home in story.homes if home.cut}
    assert Scenario(name="x", description="x", boxes=story.boxes).boxes == story.boxes


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_cuts_lie_within_the_week(story: Story) -> None:
    for home in story.homes:
        if home.cut is not None:
            assert 24 < home.cut.since < home.cut.until < (story.end - START) / HOUR - 24


def test_there_is_no_other() -> None:
    with pytest.raises(UsageError, match="there is no story 'x'; there are algeria, morocco"):
        find("x")
