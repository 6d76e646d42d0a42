"""Scenarios as data."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from probe.lab import scenario, world
from probe.lab.kinds import DnsInjector
from probe.lab.scenario import Scenario
from probe.model.errors import ConfigError, UsageError

HEAD = '[[scenarios]]\nname = "one"\ndescription = "One."\n'


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "x.toml"
    path.write_text(text, "utf-8")
    return path


def test_a_box_is_chosen_by_its_kind(tmp_path: Path) -> None:
    box = '{kind = "dns_injector", at = "sale.agg", names = ["x.example"], ttl = "mirror"}'
    path = write(tmp_path, f"{HEAD}boxes = [{box}]")
    (found,) = scenario.read(path)
    assert found.boxes == (DnsInjector(at="sale.agg", names=("x.example",), ttl="mirror"),)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("boxes = 1", "boxes"),
        ('boxes = [{kind = "dragon", at = "sale.agg"}]', "dragon"),
        ('boxes = [{kind = "impair", at = "sale.agg", loss = 1.5}]', "loss"),
        ('boxes = [{kind = "impair", at = "sale.agg", lost = 0.5}]', "lost"),
        ('expect = [{operator = "a", measurement = "m", target = "t", verdict = ["guilty"]}]', "guilty"),
        ("seed = 1\nseed = 2", "overwrite"),
    ],
)
def test_what_cannot_be_read_names_its_place(tmp_path: Path, text: str, says: str) -> None:
    path = write(tmp_path, HEAD + text)
    with pytest.raises(ConfigError, match=says) as caught:
        scenario.read(path)
    assert str(path) in str(caught.value)


def test_an_unknown_name_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="atlantis"):
        scenario.find("atlantis")


def test_two_of_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, HEAD + HEAD)
    monkeypatch.setattr(scenario, "FOLDER", tmp_path)
    with pytest.raises(ConfigError, match="two scenarios are called 'one'"):
        scenario.shipped()


@pytest.mark.parametrize("one", scenario.shipped().values(), ids=lambda one: one.name)
def test_every_shipped_scenario_can_be_built(one: Scenario) -> None:
    made = world.build(one)
    assert one.description.endswith(".")
    for expected in one.expect:
        assert expected.operator in made.homes
        assert not expected.at or expected.at in made.topology.nodes
        if one.confounder:
            assert "interfered" not in expected.verdict
        elif expected.technique is not None:
            assert expected.verdict == ("interfered",)
            assert expected.at or expected.technique == "dns_lie"


def test_the_shipped_ones_cover_technique_and_place() -> None:
    everything = scenario.shipped().values()
    assert sum(one.confounder for one in everything) >= 15
    assert sum(not one.confounder for one in everything) >= 25
    techniques = Counter(expected.technique for one in everything for expected in one.expect)
    assert {"dns_injection", "tcp_reset", "trigger_drop", "block_page"} <= techniques.keys()
    assert {"ip_blackhole", "icmp_reject", "dns_lie"} <= techniques.keys()
    places = {expected.at.partition(".")[2] for one in everything for expected in one.expect if expected.at}
    assert {"bng", "agg", "core", "border"} <= places
