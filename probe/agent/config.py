"""The configuration file and the target lists that it names, checked to the last key.

Every command reads the configuration, and a Pi pays for each import: what only some files need is imported for them.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from probe.agent.paths import anchored
from probe.engine.guard import networks
from probe.model.config import Config, TargetEntry, TargetList
from probe.model.errors import ConfigError, UsageError

PATH = Path("/etc/colibri/colibri.toml")
"""Where the configuration is looked for last."""
VARIABLE = "COLIBRI_CONFIG"
"""Environment variable that names the file."""

T = TypeVar("T")


def find(given: str | Path | None = None, environment: Mapping[str, str] = os.environ) -> Path | None:
    """The file in force: the one given, else $COLIBRI_CONFIG, else /etc/colibri/colibri.toml if it is there."""
    if given:
        return Path(given)
    if environment.get(VARIABLE):
        return Path(environment[VARIABLE])
    return PATH if PATH.exists() else None


def load(given: str | Path | None = None, environment: Mapping[str, str] = os.environ) -> Config:
    """The configuration in force (:func:`find`); the defaults where there is no file.

    Raises ConfigError with the file and the dotted path of the key: unreadable file, TOML syntax (with its line),
    unknown key, wrong type, value out of range, a network or a key that is none. Relative paths in the file are
    relative to it.
    """
    path = find(given, environment)
    if path is None:
        return Config()
    config = anchored(_convert(path, _read_toml(path, _read(path)), Config), path.absolute().parent)
    _check(path, config)
    return config


def load_targets(config: Config) -> list[TargetEntry]:
    """The targets of all lists that the configuration names.

    Raises ConfigError with the file and the path: as :func:`load` does, and for a list without a valid signature
    (where ``targets.signed_by`` asks for one), a measurement that there is not, an option that none of the target's
    measurements takes, a target that asks for no measurement at all.
    """
    entries: list[TargetEntry] = []
    for name in config.targets.files:
        path = Path(name)
        data = _read(path)
        if config.targets.signed_by:
            _check_signature(path, data, config.targets.signed_by)
        listed = entries_of(path, data)
        for i, entry in enumerate(listed):
            check_target(f"{path}: targets[{i}]", entry, config)
        entries += listed
    if config.targets.root:
        from probe.agent.lists import in_force

        entries += in_force(config)
    return entries


def entries_of(path: Path, data: bytes) -> list[TargetEntry]:
    """The targets of a list (TOML). Raises ConfigError with ``path``, and the line or the key."""
    return _convert(path, _read_toml(path, data), TargetList).targets


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(str(path), error.strerror or str(error)) from None


def _read_toml(path: Path, data: bytes) -> dict[str, Any]:
    import tomli  # tomllib of Python 3.11 to 3.14 reads TOML 1.0 alone: no line break in {…}

    try:
        return tomli.loads(data.decode(), parse_float=_finite)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(str(path), f"line {line} is not UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(str(path), f"is not TOML: {error}") from None


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):  # it would pass every limit of the types
        raise ValueError(f"{text} is no number of anything")
    return value


def _convert(path: Path, raw: dict[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        where, what = _explain(str(error), kind)
        raise ConfigError(f"{path}: {where}" if where else str(path), what) from None


def _explain(message: str, kind: type[Any]) -> tuple[str, str]:
    """The dotted path and the words of a person, from msgspec's message (``… - at `$.a.b[0]` ``)."""
    what, _, at = message.partition(" - at `")
    where = at.rstrip("`").removeprefix("$").removeprefix(".")
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", what, re.DOTALL)
    if unknown is None:
        return where, what.replace("`object`", "a table").replace("`array`", "a list")
    key = unknown[1]
    from difflib import get_close_matches  # for who has mistyped

    near = get_close_matches(key, _keys_at(kind, where), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{where}.{key}".lstrip("."), f"there is no such option{hint}"


def _keys_at(kind: type[Any], where: str) -> list[str]:
    """Keys that are known at a dotted path."""
    from probe.agent.options import options

    known = [name for name, *_ in options(kind)]
    plain = re.sub(r"\[.*?\]", "", where)
    prefix = f"{plain}." if plain else ""
    return sorted({name.removeprefix(prefix).split(".")[0] for name in known if name.startswith(prefix)})


def _check(path: Path, config: Config) -> None:
    """What the types can't say."""
    networks(config.safety.allow_networks, f"{path}: safety.allow_networks")
    if config.probe.id:
        _check_id(f"{path}: probe.id", config.probe.id)
    for i, name in enumerate(config.schedule.measurements):
        _known_measurement(f"{path}: schedule.measurements[{i}]", name)
    for i, key in enumerate(config.targets.signed_by):
        _check_key(f"{path}: targets.signed_by[{i}]", key)
    for probe, key in config.collector.trusted_keys.items():
        _check_key(f"{path}: collector.trusted_keys.{probe}", key)
    if config.mqtt.tls and config.mqtt.tls.key and not config.mqtt.tls.certificate:
        raise ConfigError(f"{path}: mqtt.tls.certificate", "is missing beside mqtt.tls.key")


def _check_id(where: str, given: str) -> None:
    from probe.agent.identity import TOKEN

    if not TOKEN.fullmatch(given):
        raise ConfigError(where, f"may hold a-z, 0-9, '_', '.' and '-', at most 64: {given!r}")


def _check_key(where: str, key: str) -> None:
    import base64

    try:
        length = len(base64.b64decode(key, validate=True))
    except ValueError:
        length = 0
    if length != 32:
        raise ConfigError(where, "is not an Ed25519 public key (32 bytes in base64)")


def _known_measurement(where: str, name: str) -> str:
    from probe.measurements import load as load_measurement

    try:
        return load_measurement(name).name
    except UsageError as error:
        raise ConfigError(where, str(error)) from None


def _check_signature(path: Path, data: bytes, keys: list[str]) -> None:
    from probe.model.canonical import verify_bytes

    beside = path.with_name(path.name + ".sig")
    signature = _read(beside).decode("ascii", "replace").strip()
    if not any(verify_bytes(data, key, signature) for key in keys):
        raise ConfigError(str(beside), f"is not a signature of {path.name} by any key of targets.signed_by")


def check_target(where: str, entry: TargetEntry, config: Config) -> None:
    """Raise ConfigError, with ``where`` and the key, for an entry that could not be measured."""
    from probe.measurements import load as load_measurement
    from probe.measurements import names as measurement_names

    if not entry.target:
        raise ConfigError(f"{where}.target", "is empty")
    kinds = entry.measurements or config.schedule.measurements
    if not kinds:
        raise ConfigError(f"{where}.measurements", f"names none; there are: {', '.join(measurement_names())}")
    taken: set[str] = set()
    for i, name in enumerate(kinds):
        kind = load_measurement(_known_measurement(f"{where}.measurements[{i}]", name))
        taken |= {field.name for field in msgspec.structs.fields(kind.options)}
    for key in entry.options:
        if key not in taken - {"target"}:
            raise ConfigError(f"{where}.options.{key}", f"is no option of {', '.join(kinds)}")
