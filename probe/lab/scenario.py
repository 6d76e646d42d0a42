"""Scenarios: what every operator does and what a measurement must find. Data, read from TOML files beside this module.

``at`` names a node of the world (``sale.agg``, ``press``): a box acts on the link by which the homes' packets enter it.
All durations are seconds, all probabilities 0..1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
import tomli

from probe.model.errors import ConfigError, UsageError
from probe.model.finding import Technique, Verdict

Chance = Annotated[float, msgspec.Meta(ge=0, le=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]
Copies = Annotated[int, msgspec.Meta(ge=1, le=20)]
FieldRule = Annotated[int, msgspec.Meta(ge=0, le=65535)] | Literal["random", "mirror"]
"""How a box fills a header field: a number, drawn anew for each packet, or copied from the packet it answers."""
Where = Literal["host", "sni"]


class _Box(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind"):
    at: str


class DnsInjector(_Box, tag="dns_injector", frozen=True, kw_only=True):
    """Answers queries for ``names`` (and all below them) in the resolver's place; on-path unless ``in_path``."""

    names: tuple[str, ...]
    answer: str = "198.18.0.99"  # an IPv4 address, or "nxdomain"
    answer6: str = "2001:db8::99"
    qtypes: tuple[Literal["A", "AAAA"], ...] = ("A",)
    ttl: FieldRule = 64
    ip_id: FieldRule = "random"
    copies: Copies = 1
    delay: Seconds = 0.0
    in_path: bool = False


class ResetInjector(_Box, tag="reset", frozen=True, kw_only=True):
    """Resets (or finishes) a flow that carries one of ``words``; "" is any name. In-path, the packet is dropped too.

    Copy i bears the expected sequence number plus ``i * step``.
    """

    words: tuple[str, ...]
    where: tuple[Where, ...] = ("host", "sni")
    to: tuple[Literal["client", "server"], ...] = ("client",)
    flags: Literal["R", "RA", "FA"] = "RA"
    copies: Copies = 1
    step: int = 0
    ttl: FieldRule = 64
    ip_id: FieldRule = "random"
    window: int = 0
    delay: Seconds = 0.0
    in_path: bool = False


class Drop(_Box, tag="drop", frozen=True, kw_only=True):
    """Swallows the packet that carries a word and then, for ``residual`` seconds, the flow (4-tuple) or everything
    between the client and that server's port (3-tuple), both ways."""

    words: tuple[str, ...]
    where: tuple[Where, ...] = ("host", "sni")
    residual: Seconds = 5.0
    tuple_size: Literal[3, 4] = 4


class BlockPage(_Box, tag="block_page", frozen=True, kw_only=True):
    """Answers a request for a forbidden Host with a page of its own, and ends the flow."""

    words: tuple[str, ...]
    status: str = "403 Forbidden"
    body: str = "<html><head><title>Blocked</title></head><body>This site is blocked by order.</body></html>"
    ttl: FieldRule = 64
    ip_id: FieldRule = "random"
    in_path: bool = False


class RouteAway(_Box, tag="route", frozen=True, kw_only=True):
    """Gives prefixes a route that leads nowhere: silently, or with an ICMP error from that router."""

    prefixes: tuple[str, ...]
    action: Literal["blackhole", "unreachable", "prohibit"] = "blackhole"


class Resolver(_Box, tag="resolver", frozen=True, kw_only=True):
    """Changes a resolver: lies about ``names``; is slow, cuts its answers short, or rotates its addresses."""

    names: tuple[str, ...] = ()
    answer: str = "198.18.0.99"  # an IPv4 address, "nxdomain" or "refused"
    delay: Seconds = 0.0
    truncate: bool = False
    rotate: tuple[str, ...] = ()  # one more of these addresses in each answer's place


class Web(_Box, tag="web", frozen=True, kw_only=True):
    """Changes a web server: open ``ports``, what an unknown name gets, when an idle connection is reset."""

    ports: tuple[int, ...] = (80, 443)
    unknown_host: Literal["serve", "reset"] = "serve"
    unknown_sni: Literal["serve", "reset"] = "serve"
    idle_reset: Seconds = 0.0  # 0: never
    firewall: bool = False  # other ports are dropped silently instead of refused


class HomeDns(_Box, tag="home_dns", frozen=True, kw_only=True):
    """A home router that answers DNS queries to any address itself."""


class IcmpRule(_Box, tag="icmp", frozen=True, kw_only=True):
    """A router that sends no ICMP errors, or at most one to an address in ``interval`` (after a burst of six)."""

    mode: Literal["silent", "limited"]
    interval: Seconds = 1.0


class Impair(_Box, tag="impair", frozen=True, kw_only=True):
    """A bad link: one-way ``delay``, ``jitter`` on top (order kept), losses, duplicates, overtaking."""

    delay: Seconds = 0.0
    jitter: Seconds = 0.0
    loss: Chance = 0.0
    duplicate: Chance = 0.0
    reorder: Chance = 0.0


class EqualPaths(_Box, tag="equal_paths", frozen=True, kw_only=True):
    """A twin router beside ``at``, chosen by a hash of the flow; ``longer``: that way has one hop more."""

    longer: bool = False


Box = (
    DnsInjector | ResetInjector | Drop | BlockPage | RouteAway | Resolver | Web
    | HomeDns | IcmpRule | Impair | EqualPaths
)
Inspecting = DnsInjector | ResetInjector | Drop | BlockPage
"""Boxes that look into packets."""


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

    ``world``: "internet" (three operators) or "chain" (one client, ``hops`` routers, one server; no NAT).
    """

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,64}$")]
    description: str
    world: Literal["internet", "chain"] = "internet"
    hops: Annotated[int, msgspec.Meta(ge=1, le=30)] = 4
    rtt: Seconds = 0.02
    seed: int = 1
    confounder: bool = False
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
