"""The household's choices: kept, added to, above the configuration, and off where they can't be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from probe.agent import choices
from probe.model.config import Config, ProbeConfig, SafetyConfig, TargetEntry
from probe.model.home import Category


def config(folder: Path, *sensitive: str) -> Config:
    return Config(probe=ProbeConfig(state_dir=str(folder)), safety=SafetyConfig(sensitive=list(sensitive)))


def test_without_choices_the_configuration_holds(tmp_path: Path) -> None:
    assert choices.applied(config(tmp_path, "politics")) == config(tmp_path, "politics")


def test_choices_are_added_to_and_go_over_the_configuration(tmp_path: Path) -> None:
    choices.keep(tmp_path, {"politics": False, "faith": True})
    choices.keep(tmp_path, {"love": True})
    assert choices.applied(config(tmp_path, "politics", "press")).safety.sensitive == ["press", "faith", "love"]
    choices.keep(tmp_path, {"politics": True, "faith": False})
    assert choices.applied(config(tmp_path, "politics", "press")).safety.sensitive == ["politics", "press", "love"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"categories": ["politics"]}', b"\xff"])
def test_what_cannot_be_read_turns_nothing_on(tmp_path: Path, content: bytes) -> None:
    (tmp_path / choices.FILE).write_bytes(content)
    assert choices.applied(config(tmp_path)).safety.sensitive == []
    choices.keep(tmp_path, {"politics": True})
    assert choices.applied(config(tmp_path)).safety.sensitive == ["politics"]


def test_categories_are_those_of_the_lists_with_how_many_targets(tmp_path: Path) -> None:
    targets = [TargetEntry("a", category="politics"), TargetEntry("b"), TargetEntry("c", category="faith"),
               TargetEntry("d", category="politics")]  # fmt: skip
    assert choices.categories(targets, ["faith", "other"]) == [
        Category("faith", 1, True), Category("politics", 2, False),
    ]  # fmt: skip
