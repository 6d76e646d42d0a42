"""Scenarios: what every operator does and what a measurement must find. Data, read from TOML files beside this module.

``at`` names a node of the world (``sale.agg``, ``press``): a box acts on the link by which the homes' packets enter it.
All durations are seconds, all probabilities 0..1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
import tomli

from probe.lab.kinds import Box
from probe.lab.kinds.base import Seconds
from probe.model.errors import ConfigError, UsageError
from probe.model.finding import Technique, Verdict


class Expectation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one measurement from one home must find. ``verdict``: any of these; ``at``: the node that does it.

    ``technique`` and ``at`` count where the verdict is interfered; ``options`` override the lab's usual ones.
    """

    operator: str
    measurement: str
    target: str
    verdict: tuple[Verdict, ...]
    technique: Technique | None = None
    at: str = ""
    options: dict[str, str | int | float | bool | list[str]] = {}


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A whole scenario. ``rtt`` seconds are added between the operators and the transit network.

    ``impairable``: the homes' access links can be made worse while the lab is up (the score does).
    ``world``: "internet" (three operators) or "chain" (one client, ``hops`` routers, one server; no NAT).
    """

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,64}$")]
    description: str
    world: Literal["internet", "chain"] = "internet"
    hops: Annotated[int, msgspec.Meta(ge=1, le=30)] = 4
    rtt: Seconds = 0.02
    seed: int = 1
    confounder: bool = False
    impairable: bool = False
    boxes: tuple[Box, ...] = ()
    expect: tuple[Expectation, ...] = ()


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    scenarios: tuple[Scenario, ...]


FOLDER = Path(__file__).with_name("scenarios")


def read(path: Path) -> tuple[Scenario, ...]:
    """Scenarios of one TOML file. Raises ConfigError with the path of the offending key."""
    try:
        return msgspec.convert(tomli.loads(path.read_text("utf-8")), _File).scenarios
    except (tomli.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), str(error)) from error


def shipped() -> dict[str, Scenario]:
    """All scenarios that come with the lab, by name, in their files' order. Raises ConfigError on a double name."""
    found: dict[str, Scenario] = {}
    for path in sorted(FOLDER.glob("*.toml")):
        for scenario in read(path):
            if scenario.name in found:
                raise ConfigError(str(path), f"two scenarios are called {scenario.name!r}")
            found[scenario.name] = scenario
    return found


def find(name: str) -> Scenario:
    """A shipped scenario by name. Raises UsageError."""
    try:
        return shipped()[name]
    except KeyError:
        raise UsageError(f"no scenario is called {name!r}; `colibri lab list` names them") from None
