"""The chain's line, for work by the thousand."""

from __future__ import annotations

from collections.abc import Callable, Generator
from random import Random
from typing import TypeVar

import pytest

from probe.engine.budget import Budget
from probe.engine.bulk.drive import alone
from probe.engine.bulk.gate import Gate
from probe.engine.bulk.line import Line
from probe.engine.guard import Guard, networks
from probe.engine.interfaces import own_addresses
from probe.lab.lab import Lab
from probe.model.config import SafetyConfig

T = TypeVar("T")
Job = Generator[float, None, T]


def line(lab: Lab, safety: SafetyConfig | None = None, rate: int = 5000, interface: str = "") -> Line:
    """The line of the chain's client; to be called inside the home."""
    own = own_addresses()
    config = lab.config("chain").safety
    guard = Guard(networks(config.allow_networks), own.addresses, own.networks)
    return Line(Gate(guard, Budget(safety or config)), own, Random(), rate, interface)


@pytest.fixture
def do(chain: Lab) -> Callable[[Callable[[Line], Job[T]]], T]:
    """Does a job in the chain's home: ``do(lambda line: sweep(line, …))``."""

    def doing(job: Callable[[Line], Job[T]]) -> T:
        with chain.enter("chain"):
            return alone(job(line(chain)))

    return doing
