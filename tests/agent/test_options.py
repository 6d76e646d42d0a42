"""Options: each has its words; what is shown can be read again."""

from __future__ import annotations

import msgspec
import tomli
from hypothesis import given
from hypothesis import strategies as st

from probe.agent.options import describe, options, show
from probe.model import config as types
from probe.model.config import Config, TargetList


def test_every_option_has_a_description_a_type_and_a_default() -> None:
    found = options()
    assert len(found) > 40
    assert [name for name, _, _, words in found if not words] == []
    assert [name for name, type_, default, _ in found if not type_ or not default] == []


def test_every_field_of_every_section_is_an_option() -> None:
    names = {name for name, *_ in options()}
    for section in msgspec.structs.fields(Config):
        for field in msgspec.structs.fields(section.type):
            dotted = f"{section.name}.{field.name}"
            assert any(name == dotted or name.startswith(f"{dotted}.") for name in names), dotted


def test_types_and_defaults_are_what_a_person_writes() -> None:
    found = {name: (type_, default) for name, type_, default, _ in options()}
    assert found["mqtt.acknowledged_by"] == ('"broker" or "collector"', '"collector"')
    assert found["safety.allow_networks"] == ("list of text", "[]")
    assert found["mqtt.tls.ca"] == ("text", '""')
    assert found["schedule.jitter"] == ("number", "0.2")
    assert found["collector.notify.name"] == ("text", "required"), "shared by all kinds, and listed once"
    assert [name for name, *_ in options()].count("collector.notify.name") == 1
    assert found["collector.notify.tls"][1] == '"starttls"'
    assert "targets.measurements" in {name for name, *_ in options(TargetList)}


def test_the_table_has_a_row_for_each_option() -> None:
    rows = describe().splitlines()
    assert len(rows) == 2 + len(options())
    assert [row for row in rows[2:] if row.count(" | ") != 3] == []


@st.composite
def configs(draw: st.DrawFn) -> Config:
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    tls = st.none() | st.builds(types.TlsConfig, ca=text)
    return Config(
        probe=types.ProbeConfig(state_dir=draw(text)),
        schedule=types.ScheduleConfig(every=draw(st.floats(0, 1e300)), measurements=draw(st.lists(text))),
        mqtt=types.MqttConfig(host=draw(text), tls=draw(tls)),
        collector=types.CollectorConfig(
            trusted_keys=draw(st.dictionaries(text, text)),
            notify=draw(st.lists(st.builds(types.NtfyConfig, name=st.just("n"), url=text, targets=st.lists(text)))),
            counter=draw(st.lists(st.builds(types.CounterConfig, name=st.just("c"), url=text, pattern=text))),
        ),
    )


@given(configs())
def test_what_is_shown_reads_back_as_the_same(config: Config) -> None:
    assert msgspec.convert(tomli.loads(show(config)), Config) == config
