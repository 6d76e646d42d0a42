"""What is to be measured again and again: each target of the lists with each kind of measurement."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

import msgspec

from probe.measurements import load
from probe.model.config import Config, TargetEntry
from probe.model.feed import short_hash

_LEAST_EVERY = 1.0  # seconds: what fails at once must not be tried again at once


class Job(msgspec.Struct, frozen=True):
    """One kind of measurement on one target, every so many seconds.

    ``key`` stays the same over restarts as long as the target's entry does; ``host`` is what may not be measured twice
    at once; ``options`` are as the measurement takes them.
    """

    key: str
    measurement: str
    target: str
    host: str
    group: str
    every: float
    options: dict[str, object]


def jobs(targets: Iterable[TargetEntry], config: Config) -> list[Job]:
    """The jobs of the targets, each once, in their order.

    Left out: kinds that ``schedule.measurements`` does not name (if it names any), and targets of a category that the
    volunteer has not opted in to (design, "Safety"): a target bears a category only if it is a sensitive one.
    """
    wanted = {_plain(name) for name in config.schedule.measurements}
    found: dict[str, Job] = {}
    for entry in targets:
        if entry.category and entry.category not in config.safety.sensitive:
            continue
        for name in map(_plain, entry.measurements or config.schedule.measurements):
            if not wanted or name in wanted:
                job = _job(entry, name, config.schedule.every)
                found.setdefault(job.key, job)
    return list(found.values())


def _job(entry: TargetEntry, measurement: str, every: float) -> Job:
    known = {field.name for field in msgspec.structs.fields(load(measurement).options)}
    options: dict[str, object] = {"target": entry.target}
    if "address" in known:  # where there is none, a port is another's: a resolver's, not the target's
        options |= {key: value for key, value in (("address", entry.address), ("port", entry.port)) if value}
    options["group"] = entry.group
    options.update(entry.options)
    options = {key: value for key, value in options.items() if key in known}
    return Job(
        key=short_hash(msgspec.json.encode([measurement, sorted(options.items())]).decode()),
        measurement=measurement,
        target=entry.target,
        host=host_of(entry.address or entry.target),
        group=entry.group,
        every=max(_LEAST_EVERY, entry.every if entry.every is not None else every),
        options=options,
    )


def host_of(target: str) -> str:
    """The host of a target given as a name, an address or a URL; the text itself where none can be made out."""
    try:
        return urlsplit(target if "//" in target else f"//{target}").hostname or target
    except ValueError:
        return target


def _plain(name: str) -> str:
    return name.replace("-", "_")
