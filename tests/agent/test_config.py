"""The configuration file: what is in force, and one clear line for whatever is wrong with it."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from probe.agent import config as module
from probe.agent.config import find, load, load_targets
from probe.agent.options import options
from probe.model.config import Config, MqttConfig, TargetEntry, TargetsConfig
from probe.model.errors import ConfigError

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
PUBLIC = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "colibri.toml"


def test_the_file_given_wins_then_the_environment_then_etc(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    etc = tmp_path / "etc.toml"
    monkeypatch.setattr(module, "PATH", etc)
    assert find(None, {}) is None
    assert load(None, {}) == Config()
    etc.write_text('mqtt.host = "etc"')
    other = tmp_path / "other.toml"
    other.write_text('mqtt.host = "other"')
    file.write_text('mqtt.host = "given"')
    assert load(None, {}).mqtt.host == "etc"
    assert load(None, {"COLIBRI_CONFIG": str(other)}).mqtt.host == "other"
    assert load(str(file), {"COLIBRI_CONFIG": str(other)}).mqtt.host == "given"


def test_what_a_file_says_is_in_force_and_the_rest_is_default(file: Path) -> None:
    file.write_text('[mqtt]\nhost = "broker.example"\n[mqtt.tls]\nca = "/x"\n')
    config = load(file)
    assert config.mqtt.host == "broker.example"
    assert config.mqtt.tls is not None
    assert config.mqtt.window == MqttConfig().window
    assert config.line == Config().line


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("[mqtt]\nhots = 'x'", "mqtt.hots", "did you mean 'host'"),
        ("[mqqt]\nhost = 'x'", "mqqt", "did you mean 'mqtt'"),
        ("[mqtt.tls]\nwrong = 1", "mqtt.tls.wrong", "there is no such option"),
        ("[mqtt]\nport = 'x'", "mqtt.port", "Expected `int`, got `str`"),
        ("[mqtt]\nport = 70000", "mqtt.port", "<= 65535"),
        ("mqtt = 3", "mqtt", "Expected a table"),
        ("[mqtt]\nacknowledged_by = 'me'", "mqtt.acknowledged_by", "Invalid enum value 'me'"),
        ("[line]\ncountry = 'ma'", "line.country", "regex"),
        ("[safety]\nallow_networks = ['10.0.0.0/8', 'home']", "safety.allow_networks[1]", "'home'"),
        ("[safety]\nallow_networks = ['10.0.0.1/8']", "safety.allow_networks[0]", "host bits"),
        ("[safety]\nallow_networks = [3]", "safety.allow_networks[0]", "Expected `str`"),
        ("[probe]\nid = 'p/1'", "probe.id", "'p/1'"),
        ("[schedule]\nmeasurements = ['dns_injection', 'nothing']", "schedule.measurements[1]", "'nothing'"),
        ("[targets]\nsigned_by = ['abc']", "targets.signed_by[0]", "Ed25519"),
        ("[collector.trusted_keys]\np-1 = 'abc'", "collector.trusted_keys.p-1", "Ed25519"),
        ("[mqtt.tls]\nkey = '/x'", "mqtt.tls.certificate", "missing"),
    ],
)
def test_a_wrong_key_is_named_with_its_file_and_path(file: Path, text: str, where: str, what: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert caught.value.where == f"{file}: {where}"
    assert what in caught.value.what
    assert caught.value.exit_status == 2
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"[mqtt]\nhost = ?\n", "line 2"),
        (b"[mqtt]\nhost = '\xff'", "line 2 is not UTF-8"),
        (b"a = 1\na = 2", "is not TOML"),
        (b"schedule.every = inf", "inf is no number"),
        (b"schedule.every = nan", "nan is no number"),
        (b"a = " + b"[" * 5000, "is not TOML"),
    ],
)
def test_what_is_not_toml_says_where(file: Path, data: bytes, what: str) -> None:
    file.write_bytes(data)
    with pytest.raises(ConfigError, match=what):
        load(file)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.toml: No such file"):
        load(tmp_path / "missing.toml")
    with pytest.raises(ConfigError, match="Is a directory"):
        load(tmp_path)


def loads_or_names(file: Path) -> bool:
    try:
        return isinstance(load(file), Config)
    except ConfigError as error:
        return error.where.startswith(str(file)) and bool(error.what)


KEYS = st.sampled_from([key for name, *_ in options() for key in name.split(".")]) | st.text("abé.-\n", min_size=1)
SCALARS = st.integers() | st.floats() | st.booleans() | st.text() | st.dates()
VALUES = st.recursive(SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(KEYS, v, max_size=3), max_leaves=8)


def toml(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case dict():
            return "{" + ", ".join(f"{toml(k)} = {toml(v)}" for k, v in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case str():
            return '"' + "".join(f"\\U{ord(c):08x}" for c in value if not 0xD800 <= ord(c) < 0xE000) + '"'
    return str(value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_no_document_makes_it_raise_anything_else(file: Path, document: dict[str, Any]) -> None:
    file.write_text("\n".join(f"{toml(key)} = {toml(value)}" for key, value in document.items()))
    assert loads_or_names(file)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=60))
def test_no_bytes_make_it_raise_anything_else(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    assert loads_or_names(file)


def listed(tmp_path: Path, text: str, signature: str | None = None, **settings_: Any) -> list[TargetEntry]:
    path = tmp_path / "targets.toml"
    path.write_text(text)
    if signature is not None:
        path.with_name("targets.toml.sig").write_text(signature)
    return load_targets(Config(targets=TargetsConfig(files=[str(path)], **settings_)))


GOOD = """
[[targets]]
target = "example.com"
group = "press"
measurements = ["dns_injection", "dns-injection"]
options = { control_name = "example.org", resolver = "192.0.2.1" }
"""


def test_targets_are_read(tmp_path: Path) -> None:
    (entry,) = listed(tmp_path, GOOD)
    assert entry.target == "example.com"
    assert entry.options == {"control_name": "example.org", "resolver": "192.0.2.1"}
    assert load_targets(Config()) == []


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('[[targets]]\ntarget = "a"\nmeasurements = ["x"]', "targets[0].measurements[0]: no measurement is called 'x'"),
        (GOOD + '[[targets]]\ntarget = "a"', "targets[1].measurements: names none"),
        ('[[targets]]\ntarget = ""\nmeasurements = ["dns_injection"]', "targets[0].target: is empty"),
        (GOOD.replace("resolver", "resolvr"), "targets[0].options.resolvr: is no option of"),
        (GOOD.replace("resolver", "target"), "targets[0].options.target: is no option of"),
        (GOOD.replace("group", "grop"), "targets[0].grop: there is no such option; did you mean 'group'"),
        ('[[targets]]\ngroup = "a"', "targets[0]: Object missing required field `target`"),
    ],
)
def test_a_wrong_target_is_named_with_its_place(tmp_path: Path, text: str, where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        listed(tmp_path, text)
    assert f"targets.toml: {where}" in str(caught.value)


def test_a_signed_list_is_used_and_any_other_refused(tmp_path: Path) -> None:
    signature = base64.b64encode(KEY.sign(GOOD.encode())).decode()
    other = base64.b64encode(bytes(32)).decode()
    assert len(listed(tmp_path, GOOD, signature + "\n", signed_by=[other, PUBLIC])) == 1
    with pytest.raises(ConfigError, match=r"targets\.toml\.sig: is not a signature"):
        listed(tmp_path, GOOD + "\n", signature, signed_by=[PUBLIC])
    with pytest.raises(ConfigError, match=r"targets\.toml\.sig: is not a signature"):
        listed(tmp_path, GOOD, signature, signed_by=[other])
    with pytest.raises(ConfigError, match=r"targets\.toml\.sig: is not a signature"):
        listed(tmp_path, GOOD, "né", signed_by=[PUBLIC])
    (tmp_path / "targets.toml.sig").unlink()
    with pytest.raises(ConfigError, match=r"targets\.toml\.sig: No such file"):
        listed(tmp_path, GOOD, signed_by=[PUBLIC])


def test_a_table_in_braces_may_go_over_several_lines(tmp_path: Path) -> None:
    """TOML 1.1; Python's own tomllib reads 1.0 alone."""
    file = tmp_path / "colibri.toml"
    file.write_text('[mqtt]\nhost = "hub.example"\ntls = {\n    ca = "/etc/ca.pem",\n}\n')
    tls = load(file).mqtt.tls
    assert tls is not None
    assert tls.ca == "/etc/ca.pem"
