"""Configuration and targets of a lab line as files."""

from __future__ import annotations

import msgspec
import tomli

from probe.lab.files import config_text, targets_text
from probe.model.config import Config, LineConfig, MeasureConfig, SafetyConfig, TargetEntry, TargetList


def test_a_configuration_comes_back_as_it_was() -> None:
    config = Config(
        line=LineConfig('Al"gé\\rie', 64501, "DZ", "mobile"),
        safety=SafetyConfig(allow_networks=["203.0.113.0/24", "2001:db8::/32"], target_spacing=0.0),
        measure=MeasureConfig(resolver="203.0.113.153"),
    )
    text = config_text(config)
    assert msgspec.convert(tomli.loads(text), Config) == config
    assert "[mqtt]" not in text


def test_nothing_changed_is_an_empty_file() -> None:
    assert config_text(Config()) == ""


def test_targets_come_back_as_they_were() -> None:
    targets = TargetList(dated="2026-01-01", targets=[
        TargetEntry("press.example", group="press", measurements=["dns"], options={"a": ["x", "y"], "b": True}),
        TargetEntry("198.51.100.10", address="198.51.100.10", port=80, every=2.5),
    ])
    assert msgspec.convert(tomli.loads(targets_text(targets)), TargetList) == targets
