"""What the household chose on the home's page: sensitive categories, on or off. It goes over ``safety.sensitive``."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec

from probe.agent.files import write_whole
from probe.model.config import Config, TargetEntry
from probe.model.home import Category

log = logging.getLogger(__name__)

FILE = "choices.json"
"""Its name in the state folder."""


class Choices(msgspec.Struct):
    """Category → whether it is measured; those not named are as the configuration says."""

    categories: dict[str, bool] = {}


def read(folder: Path) -> Choices:
    """The choices of a state folder. A file that can't be read is one that chose nothing: sensitive ones stay off
    unless the configuration turns them on."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=Choices)
    except FileNotFoundError:
        return Choices()
    except (msgspec.DecodeError, OSError) as error:
        log.warning("%s can't be read, so nothing is chosen: %s", folder / FILE, error)
        return Choices()


def keep(folder: Path, categories: dict[str, bool]) -> None:
    """Add these to what was chosen before. Raises OSError."""
    chosen = read(folder)
    write_whole(folder / FILE, msgspec.json.encode(Choices({**chosen.categories, **categories})))


def applied(config: Config) -> Config:
    """The configuration with what was chosen on this device."""
    chosen = read(Path(config.probe.state_dir)).categories
    kept = [name for name in config.safety.sensitive if chosen.get(name, True)]
    added = [name for name, on in chosen.items() if on and name not in kept]
    safety = msgspec.structs.replace(config.safety, sensitive=kept + added)
    return msgspec.structs.replace(config, safety=safety)


def categories(targets: Iterable[TargetEntry], sensitive: Iterable[str]) -> list[Category]:
    """The sensitive categories of the lists, by name."""
    counted = Counter(target.category for target in targets if target.category)
    on = set(sensitive)
    return [Category(name, counted[name], name in on) for name in sorted(counted)]
