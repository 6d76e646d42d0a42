"""The line from the configuration: its limits hold, and the home's addresses have no name."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from probe.engine.bulk.drive import alone
from probe.engine.bulk.setup import place
from probe.engine.bulk.sweep import ports
from probe.lab.lab import Lab
from probe.model.config import Config, ProbeConfig
from probe.model.errors import BudgetExhausted, ForbiddenDestination
from probe.wire.address import address_bytes

pytestmark = pytest.mark.lab


def config(lab: Lab, folder: Path, **safety: int) -> Config:
    made = lab.config("chain")
    limits = msgspec.structs.replace(made.safety, allow_networks=["203.0.113.0/24"], **safety)
    return msgspec.structs.replace(made, safety=limits, probe=ProbeConfig(state_dir=str(folder)))


def test_a_rate_lowers_the_configurations_and_never_lifts_it(chain: Lab, tmp_path: Path) -> None:
    with chain.enter("chain"):
        used = config(chain, tmp_path, packets_per_second=300)
        assert [place(used, rate).line.rate for rate in (0, 100, 20000)] == [300, 100, 300]


def test_own_addresses_and_the_homes_have_no_name(chain: Lab, tmp_path: Path) -> None:
    with chain.enter("chain"):
        found = place(config(chain, tmp_path))
    names = {text: found.name(address_bytes(text)) for text in (
        "198.18.1.100", "198.18.1.101", "192.168.1.1", "2001:db8:1:1::2", "10.0.0.1", "203.0.113.1", "2001:db8:a0::1",
    )}  # fmt: skip
    home = ["198.18.1.100", "198.18.1.101", "192.168.1.1", "2001:db8:1:1::2"]
    assert [text for text, name in names.items() if not name] == home
    assert all(name in ("", text) for text, name in names.items())


def test_what_others_have_sent_today_counts(chain: Lab, tmp_path: Path) -> None:
    with chain.enter("chain"):
        used = config(chain, tmp_path, bytes_per_day=1000)
        first = place(used)
        alone(ports(first.line, ["203.0.113.10"], list(range(81, 93)), attempts=1))
        first.budget.flush()
        second = place(used)
        assert second.budget.used == 12 * 60
        with pytest.raises(BudgetExhausted):
            alone(ports(second.line, ["203.0.113.10"], list(range(81, 99)), attempts=1))
        with pytest.raises(ForbiddenDestination):
            alone(ports(second.line, ["198.18.1.101"], [80]))
