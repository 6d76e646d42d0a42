"""What resolvers said, read and counted; `_resolver.verdict` judges it."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from probe.measurements._beyond import private, surely_beyond, within
from probe.measurements._certificate import bears
from probe.measurements._judge import hops_away
from probe.measurements._locate import AGREE, Place, Shot
from probe.measurements._proof import RARE, acts_at_home, came_farther, home_depth
from probe.model.errors import MalformedPacket
from probe.model.exchange import Exchange, TlsStep
from probe.wire import dns

Who = Literal["resolver", "control", "silent"]
"""The line's own resolver, the trusted one, the address that runs none."""
What = Literal["target", "before", "after", "harmless", "below", "absent", "whoami"]
"""The name; the harmless name before, after and among the trials; a random label below the name, and one elsewhere."""
Kind = Literal["addresses", "nxdomain", "empty", "refused", "failure"]
_WAYS = 3  # routers by which two ways to one address may differ in length
_KINDS: dict[int, Kind] = {dns.NOERROR: "empty", dns.NXDOMAIN: "nxdomain", dns.REFUSED: "refused"}

# Nobody on the Internet lives at these.
_NOWHERE = tuple(
    ipaddress.ip_network(text)
    for text in ("0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3", "::/127", "100::/64", "ff00::/8")
)
# Documentation and benchmarks: where labs live, and nobody else.
_LAB = tuple(
    ipaddress.ip_network(text)
    for text in ("192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20")
)


def nowhere(address: str) -> bool:
    """Whether nobody can be reached at an address: ``0.0.0.0``, loopback, multicast, reserved."""
    return within(address, _NOWHERE)


def askable(address: str, given: Iterable[str]) -> bool:
    """Whether a server that a resolver named may be asked: a public address, or in a lab (``given``: addresses that the
    configuration names) one of a lab's. The engine refuses all others."""
    if within(address, _LAB):
        return any(within(one, _LAB) for one in given if one)
    return ipaddress.ip_address(address).is_global and not nowhere(address)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The first whole answer to one question (a truncated one if there was no other).

    ``addresses``: of the type asked for; ``lifetime``: least TTL of its records in seconds, None without records;
    ``zone``: owner of the SOA of a negative answer (RFC 2308), with the name of its first server.
    """

    kind: Kind
    rcode: int
    addresses: frozenset[str] = frozenset()
    lifetime: int | None = None
    zone: tuple[str, str] | None = None
    authoritative: bool = False
    truncated: bool = False
    ttl: int = 0
    after: float = 0.0

    def show(self) -> dict[str, Any]:
        """For a finding's details."""
        return {
            "says": self.kind, "rcode": self.rcode, "addresses": sorted(self.addresses), "lifetime": self.lifetime,
            "truncated": self.truncated, "ttl": self.ttl, "after_ms": round(self.after * 1000, 3),
        }  # fmt: skip


def read(exchange: Exchange, qtype: int) -> Answer | None:
    """What a question got; None where nothing came that is an answer."""
    found: list[Answer] = []
    for heard in exchange.answers:
        try:
            message = dns.decode(heard.packet.payload)
        except MalformedPacket:
            continue
        if message.response:
            after = heard.at - (exchange.sent_at or 0.0)
            found.append(from_message(message, qtype, heard.packet.ttl, after))
    return next((answer for answer in found if not answer.truncated), next(iter(found), None))


def from_message(message: dns.Message, qtype: int, ttl: int = 0, after: float = 0.0) -> Answer:
    """An answer from its message."""
    own = [record for record in message.answers if record.type == qtype and record.klass == dns.IN]
    addresses = frozenset(record.text for record in own if _is_address(record.text))
    kind: Kind = _KINDS.get(message.rcode, "failure")
    if kind == "empty" and addresses:
        kind = "addresses"
    soa = next((record for record in message.authority if record.type == dns.SOA), None)
    return Answer(
        kind=kind, rcode=message.rcode, addresses=addresses,
        lifetime=min((record.ttl for record in own), default=None),
        zone=None if soa is None else (soa.name.lower(), first_name(soa.data)),
        authoritative=message.authoritative, truncated=message.truncated, ttl=ttl, after=after,
    )  # fmt: skip


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def first_name(data: bytes) -> str:
    """The first name of an SOA's data (names are written out there), as hexadecimal digits: to compare, not to read."""
    end = data.find(b"\0")
    return data[: end + 1].lower().hex()


class Swept(msgspec.Struct):
    """A sweep of TTLs towards one address with one name, and a twin that is always harmless."""

    shots: list[Shot] = []
    twins: list[tuple[int, bool]] = []  # (TTL, answered) of the harmless name
    routers: dict[int, str] = {}
    place: Place | None = None
    plain: int | None = None  # TTL that plain datagrams to the address need at least, by the routers where they died …
    ends: int | None = None  # … and that sufficed, by the address's own word that nothing listens there
    address: str = ""  # that was swept
    died: list[tuple[int, str]] = []  # (TTL, who says so) of queries that died on a router
    plainly: dict[int, str] = {}  # TTL → router on which a plain datagram died
    beside: list[bool] = []  # whether the address answered, while routers were asked (`_resolver.turned`) …
    at_routers: dict[str, list[bool]] = {}  # … and whether those did
    own_there: list[bool] = []  # whether the line's own resolver answered at the TTL ``on_its_way()`` …
    still_there: list[bool] = []  # … and whether the address did

    @property
    def arrives(self) -> int | None:
        """Lowest TTL at which the harmless name was answered."""
        return min((ttl for ttl, answered in self.twins if answered), default=None)

    @property
    def answers(self) -> int | None:
        """Lowest TTL at which the name was answered."""
        return min((shot.ttl for shot in self.shots if shot.elicited), default=None)

    def on_its_way(self) -> int:
        """Highest TTL beyond the home, short of who answers, at which a query died on the very router on which a plain
        datagram to the address did; 0 where there is none."""
        limit, depth = self.answers or 0, home_depth(self.routers)
        return max((ttl for ttl, one in self.died if depth < ttl < limit and self.plainly.get(ttl) == one), default=0)

    def left_home(self) -> bool:
        """Whether it is shown, beyond chance, that queries were not turned in the home: routers before the address are
        not answered for, or queries still travel towards it where the line's own resolver already answers; or routers
        report dying queries in their own name first, and only farther on in that of the address, as a translator on the
        way writes it over theirs."""
        if any(came_farther(self.beside, some, RARE / 10) for some in self.at_routers.values()):
            return True
        return self._translated() or came_farther(self.own_there, self.still_there, RARE / 10)

    def _translated(self) -> bool:
        depth = home_depth(self.routers)
        renamed = [ttl for ttl, one in self.died if one == self.address]
        named = [ttl for ttl, one in self.died if one != self.address and ttl > depth]
        return min(len(renamed), len(named)) >= AGREE and max(named) < min(renamed)

    def elsewhere(self) -> bool:
        """Whether plain datagrams show the address nearer or farther than who answers, by more than ways differ."""
        at = self.answers
        if at is None:
            return False
        if self.ends is not None:
            return abs(at - self.ends) > _WAYS
        return self.plain is not None and self.plain > at + _WAYS

    def at_home(self) -> bool:
        """Whether the answers come, or may come, from inside the home."""
        depth = home_depth(self.routers)
        nearest = min((ttl for ttl in (self.arrives, self.answers) if ttl is not None), default=None)
        return (nearest is not None and nearest <= depth) or acts_at_home(self.shots, self.place, self.routers)

    def beyond_home(self) -> bool:
        """Whether the answers surely come from beyond the home."""
        return self.answers is not None and not self.at_home() and surely_beyond(self.answers, self.routers)

    def farther(self) -> bool:
        """Whether, besides, harmless packets to the same address die on a router behind the place that answers: so it
        is not the address itself."""
        at = self.answers
        return at is not None and self.beyond_home() and any(ttl > at for ttl in self.routers)


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """One look at a server's certificate for the name.

    ``right``: this machine's authorities vouch for it (a clock that is wrong makes right ones fail, not wrong ones
    pass). ``wrong``: why not, "" where no certificate was shown; ``failure``: why none was. ``foreign``: the one shown
    does not bear the name, whatever the time. ``trusted_clock``: without it, what is ``wrong`` alone says nothing.
    """

    right: bool
    wrong: str = ""
    failure: str = ""
    foreign: bool = False
    trusted_clock: bool = True

    @property
    def fails(self) -> bool:
        """Whether the server did not prove to be the name, and the clock is no excuse."""
        return not self.right and (bool(self.failure) or self.foreign or self.trusted_clock)

    def show(self) -> dict[str, Any]:
        """For a finding's details."""
        return {"right": self.right, "wrong": self.wrong, "failure": self.failure}


def tried(exchange: Exchange) -> Tried:
    """Read a TlsStep's exchange."""
    session = exchange.session
    if session is None or not session.chain:
        alert = session.alert if session is not None else ""
        return Tried(right=False, failure=alert or exchange.failure or "no certificate")
    step = exchange.step
    name = step.server_name if isinstance(step, TlsStep) else ""
    return Tried(
        right=not session.distrust, wrong=session.distrust, foreign=bears(session.chain[0], name) is False,
        trusted_clock=session.synchronised,
    )  # fmt: skip


class Seen:
    """Everything heard in one run, question by question."""

    def __init__(self, name: str, resolver: str, control: str, silent: str, harmless: str) -> None:
        self.name, self.harmless = name, harmless
        self.resolver, self.control, self.silent = resolver, control, silent
        self.public = ""  # whose public resolver `resolver` is, "" if nobody's that is known
        self.said: dict[tuple[What, Who], list[Answer | None]] = defaultdict(list)
        self.servers_before: dict[str, Tried] = {}
        self.servers_after: dict[str, Tried] = {}
        self.odd_servers: dict[str, list[Tried]] = {}
        self.askers: dict[Who, list[set[str]]] = defaultdict(list)  # networks, one set a question that was resolved
        self.identities: dict[Who, str] = {}
        self.sweeps: dict[Who, Swept] = {}
        self.genuine_negative = False
        self.zones: dict[Who, tuple[str, str]] = {}  # (owner, first server) of the zone that holds the name
        self.confirmed_by: dict[What, frozenset[str]] = {}  # addresses that the trusted one gave inside TLS, by phase
        self.denied_by: set[What] = set()  # phases in which it said so that there is no such name
        self.told_zone: set[Who] = set()  # those that answered when asked for it
        self.transports: dict[str, Any] = {}

    def answers(self, what: What, who: Who) -> list[Answer]:
        """Answers to these questions, silence left out."""
        return [answer for answer in self.said[what, who] if answer is not None]

    def answered(self, what: What, who: Who) -> tuple[int, int]:
        """(answered, asked)."""
        asked = self.said[what, who]
        return sum(answer is not None for answer in asked), len(asked)

    def addresses(self, what: What, who: Who) -> frozenset[str]:
        """All addresses that were answered."""
        return frozenset(address for answer in self.answers(what, who) for address in answer.addresses)

    def reach(self, who: Who) -> int:
        """The TTL that just arrives, if the way back is as long as the way there; 16 where nothing is known."""
        ttls = [answer.ttl for what in ("before", "harmless", "target") for answer in self.answers(what, who)]
        return hops_away(max(ttls)) + 1 if ttls else 16

    def round_trip(self) -> float:
        """Seconds of the fastest answer to a harmless name; 0.1 where there was none."""
        whos: tuple[Who, ...] = ("resolver", "control")
        times = [answer.after for who in whos for answer in self.answers("before", who)]
        return min(times, default=0.1)

    def slowest(self, who: Who) -> float:
        """Seconds of the slowest answer of one of them; 0 where there was none."""
        whats: tuple[What, ...] = ("before", "target", "harmless")
        return max((answer.after for what in whats for answer in self.answers(what, who)), default=0.0)

    def works(self, who: Who) -> bool:
        """Whether the harmless name got addresses before and after."""
        return all(any(a.kind == "addresses" for a in self.answers(phase, who)) for phase in ("before", "after"))

    def verified(self) -> frozenset[str]:
        """The trusted resolver's addresses that served a right certificate for the name, before and after."""
        return frozenset(
            address for address, first in self.servers_before.items()
            if first.right and (again := self.servers_after.get(address)) is not None and again.right
        )  # fmt: skip

    def proven(self) -> bool:
        """Whether what the trusted resolver says is proven, before and after: by the servers that it names, or by a
        session whose certificate is its own."""
        said = [self.confirmed_by.get(phase, frozenset()) for phase in ("before", "after")]
        inside = all(any(not nowhere(one) and not private(one) for one in some) for some in said)
        return inside or bool(self.verified())

    def right(self, address: str) -> bool:
        """Whether an address is right for the name: the trusted resolver gives it, or it proves it by certificate."""
        if address in self.addresses("target", "control") or any(address in one for one in self.confirmed_by.values()):
            return True
        return any(one.right for one in self.odd_servers.get(address, ()))

    def fails(self, address: str) -> bool:
        """Whether a server failed each time to prove that it is the name."""
        looks = self.odd_servers.get(address, [])
        return len(looks) >= 3 and all(one.fails for one in looks)

    def unclear(self, address: str) -> bool:
        """Whether it failed, but the clock may be to blame."""
        return any(not one.right and not one.fails for one in self.odd_servers.get(address, ()))

    def resolved_by(self, who: Who, address: str) -> tuple[int, int]:
        """(questions that only the network of ``address`` asked the name's own server, questions that anybody did)."""
        sets = [networks for networks in self.askers[who] if networks]
        alone = sum(all(_holds(network, address) for network in networks) for networks in sets)
        return alone, len(sets)


def _holds(network: str, address: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network)
    except ValueError:  # "self": the home itself asked
        return False
