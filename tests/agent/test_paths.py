"""Relative paths are the configuration file's own; the list of path options misses none."""

from __future__ import annotations

from pathlib import Path

from probe.agent.config import load
from probe.agent.options import options
from probe.agent.paths import PATHS, anchored
from probe.model.config import Config, NtfyConfig, ProbeConfig, TargetsConfig, WebhookConfig


def test_relative_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    file = tmp_path / "colibri.toml"
    file.write_text(
        '[probe]\nstate_dir = "state"\n[targets]\nfiles = ["a.toml", "/b.toml"]\n[mqtt.tls]\nca = "ca.pem"\n'
        '[control]\nsocket = ""\n'
    )
    config = load(file)
    assert config.probe.state_dir == f"{tmp_path}/state"
    assert config.targets.files == [f"{tmp_path}/a.toml", "/b.toml"]
    assert config.mqtt.tls is not None
    assert (config.mqtt.tls.ca, config.mqtt.tls.key) == (f"{tmp_path}/ca.pem", "")
    assert config.control.socket == ""


def test_files_of_each_kind_of_notification_too(tmp_path: Path) -> None:
    file = tmp_path / "colibri.toml"
    file.write_text(
        '[[collector.notify]]\nkind = "webhook"\nname = "a"\nurl = "https://a.example/"\nsecret_file = "secret"\n'
        '[[collector.notify]]\nkind = "ntfy"\nname = "b"\nurl = "https://b.example/t"\n'
    )
    hook, ntfy = load(file).collector.notify
    assert isinstance(hook, WebhookConfig)
    assert isinstance(ntfy, NtfyConfig)
    assert (hook.secret_file, ntfy.token_file) == (f"{tmp_path}/secret", "")


def test_absolute_paths_stay() -> None:
    config = Config(probe=ProbeConfig(state_dir="/var/lib/x"), targets=TargetsConfig(files=["/t.toml"]))
    assert anchored(config, Path("/elsewhere")) == config


def test_every_option_whose_words_speak_of_a_file_or_folder_is_in_the_list() -> None:
    spoken = {
        name for name, _, _, words in options() if words.startswith(("File", "Path", "Where the spool", "Target lists"))
    }
    assert spoken == set(PATHS)
