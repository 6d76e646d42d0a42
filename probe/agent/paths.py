"""Relative paths in a configuration file are relative to that file: it means the same wherever one stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from probe.model.config import Config

PAUSED = "paused.json"
"""In the probe's state_dir: there while it is paused (:mod:`probe.agent.pause`)."""
PATHS = (
    "probe.state_dir", "mqtt.password_file", "mqtt.tls.ca", "mqtt.tls.certificate", "mqtt.tls.key", "control.socket",
    "page.socket", "page.code_file",
    "measure.authorities", "measure.prefixes", "targets.files", "targets.root", "enrol.ca",
    "collector.database", "collector.store_password_file", "collector.metrics_token",
    "collector.enrol.folder", "collector.enrol.broker_pid",
    "collector.notify.secret_file", "collector.notify.ca", "collector.notify.password_file",
    "collector.notify.token_file",
    "homeassistant.password_file", "homeassistant.tls.ca", "homeassistant.tls.certificate", "homeassistant.tls.key",
)  # fmt: skip
"""Options that hold a path, or a list of paths; empty ones stay empty."""


def anchored(config: Config, folder: Path) -> Config:
    """The configuration with every relative path below ``folder``."""
    for name in PATHS:
        config = _replace(config, name.split("."), folder)
    return config


def _replace(holder: Any, names: list[str], folder: Path) -> Any:
    value = getattr(holder, names[0], None)  # of several kinds of one thing, each has options of its own
    if value is None:
        return holder
    if names[1:] and isinstance(value, list):
        value = [_replace(item, names[1:], folder) for item in value]
    elif names[1:]:
        value = _replace(value, names[1:], folder)
    elif isinstance(value, list):
        value = [_below(folder, item) for item in value]
    else:
        value = _below(folder, value)
    return msgspec.structs.replace(holder, **{names[0]: value})


def _below(folder: Path, path: str) -> str:
    return str(folder / path) if path else ""
