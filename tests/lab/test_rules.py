"""Rules as text: all load, and say what they should."""

from __future__ import annotations

import subprocess

import pytest

from probe.lab import rules
from probe.lab.build import nft
from probe.lab.kinds import Ban, PortBlock, RouteAway
from probe.lab.namespaces import Namespace
from probe.model.errors import ConfigError


def block(**how: object) -> str:
    return rules.port_block(PortBlock(at="x", **how), "one", ["up"])  # type: ignore[arg-type]


@pytest.mark.lab
@pytest.mark.parametrize(
    "text",
    [
        rules.silence(), rules.home_dns("lo"), rules.firewall([80, 443]), rules.masquerade("198.18.0.1"),
        rules.ban(Ban(at="x")), rules.ban(Ban(at="x", action="reset", seconds=0.5)),
        block(), block(protocol="any"), block(protocol="icmp"), block(ports=(5060, "10000-20000"), direction="both"),
        block(protocol="tcp", ports=(80,), action="reset"), block(spare=(53, 123), direction="down"),
        *(block(action=action) for action in rules._REFUSALS),
        block(to=("203.0.113.0/24", "2001:db8::/32"), sources=("198.18.0.0/15",), direction="both"),
        rules.route_refusal(RouteAway(at="x", prefixes=("192.0.2.0/25", "2001::/32"), action="net_prohibited"), "a"),
    ],
)  # fmt: skip
def test_every_set_of_rules_loads(text: str) -> None:
    namespace = Namespace.create("x")
    with namespace.inside():
        nft(text)
        assert "chain" in subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
    namespace.close()


def test_a_filter_minds_one_way_or_both() -> None:
    up, down, both = (block(direction=way, ports=(5060,)) for way in ("up", "down", "both"))
    assert ("dport" in up, "sport" in up) == (True, False)
    assert ("dport" in down, "sport" in down) == (False, True)
    assert ("dport" in both, "sport" in both) == (True, True)


def test_prefixes_of_both_ends_must_be_of_one_family() -> None:
    text = block(to=("203.0.113.0/24",), sources=("198.18.0.0/15", "2001:db8::/32"))
    assert "ip daddr { 203.0.113.0/24 } ip saddr { 198.18.0.0/15 }" in text
    assert "ip6" not in text


@pytest.mark.parametrize(
    ("how", "says"),
    [({"action": "reset"}, "only TCP"), ({"action": "host_unreachable", "direction": "both"}, "for what goes up")],
)
def test_what_no_filter_can_do_is_an_error(how: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        block(**how)
