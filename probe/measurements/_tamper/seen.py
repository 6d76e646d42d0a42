"""How requests and certificates came through, look by look; `_tamper.verdict` judges it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Literal

import msgspec

from probe.measurements._certificate import fingerprint, issuer
from probe.measurements._judge import is_home
from probe.measurements._locate import Place, Shot
from probe.measurements._tcp.triggers import react
from probe.model.errors import MalformedPacket
from probe.model.exchange import Exchange, TcpStep
from probe.model.packet import Flags, Tcp
from probe.model.reflector import Received, Syn
from probe.wire import http, reflector

Phase = Literal["before", "trial", "after"]
Cell = tuple[Literal["known", "random"], Literal["target", "harmless"]]
"""The port, known for a service or not, and the name that is asked for there."""
Kind = Literal["http", "tls"]
TRIAL: Cell = ("known", "target")
TWINS: tuple[Cell, ...] = (("random", "harmless"), ("random", "target"), ("known", "harmless"))
_OPTIONS = {2: "mss", 3: "window scale", 4: "sack", 8: "timestamps", 30: "mptcp", 34: "fast open"}
_NEXT_ONLY = (b"connection", b"keep-alive", b"proxy-connection")
_SHOWN = 200  # characters of what was changed


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One request, or one TLS session.

    ``touched``: None where nothing came back to tell. ``changes``: what was changed, in words; ``failure``: why nothing
    came. ``own``: whether whoever answered was the far end (not somebody with another page or certificate).
    ``issuer``: of the certificate. ``syn``: the SYN as it arrived, and the options that it left with.
    """

    touched: bool | None = None
    own: bool = True
    changes: tuple[str, ...] = ()
    failure: str = ""
    issuer: str = ""
    syn: Syn | None = None
    options: bytes = b""

    def show(self) -> dict[str, Any]:
        """For a finding's details."""
        return {
            "touched": self.touched, "own": self.own, "changes": list(self.changes), "failure": self.failure,
            "issuer": self.issuer,
        }  # fmt: skip


def page(exchange: Exchange, usual: frozenset[str]) -> Look:
    """How a request arrived, by the page that the far end made of it. ``usual``: names of its own headers, in lower
    case (empty: not known yet)."""
    step = exchange.step
    sent = step.payload if isinstance(step, TcpStep) else b""
    reaction = react(exchange)
    options = sent_options(exchange)
    try:
        response = http.decode_response(reaction.stream())
    except MalformedPacket:
        return Look(failure=reaction.failure or ("cut" if reaction.cut else "silent"), options=options)
    try:
        received = reflector.read_page(response.body)
    except MalformedPacket:
        if not response.complete and not reaction.fins:
            return Look(failure="a part of a page", options=options)
        return Look(touched=True, own=False, changes=(f"a page of somebody else (status {response.status})",),
                    options=options)  # fmt: skip
    changes = changed(sent, received)
    if usual:
        names = _names(response)
        changes += tuple(f"the answer got {name!r}" for name in sorted(names - usual))
        changes += tuple(f"the answer lost {name!r}" for name in sorted(usual - names))
    return Look(touched=bool(changes), changes=changes, syn=received.syn, options=options)


def header_names(exchange: Exchange) -> frozenset[str]:
    """Names of the headers of an answer, in lower case; empty where there is none."""
    try:
        response = http.decode_response(react(exchange).stream())
    except MalformedPacket:
        return frozenset()
    return _names(response)


def _names(response: http.Response) -> frozenset[str]:
    names = {name.lower() for name, _ in response.headers}
    return frozenset(name for name in names if name.encode("utf-8", "replace") not in _NEXT_ONLY)


def changed(sent: bytes, received: Received) -> tuple[str, ...]:
    """What was changed in a request between here and there, in words; nothing if it arrived byte by byte.

    ``Connection`` and its kin are meant for the next machine alone: whoever passes a request on must write them anew
    (RFC 9110, section 7.6.1), so they don't count.
    """
    ours, theirs = _lines(sent), _lines(received.data)
    same_body = sent.partition(b"\r\n\r\n")[1:] == received.data.partition(b"\r\n\r\n")[1:]
    if ours == theirs and same_body and not received.masked:
        return ()
    if ours[:1] != theirs[:1]:
        return ("the request line" if theirs else "the whole request",)
    mine, arrived = _fields(ours[1:]), _fields(theirs[1:])
    found: list[str] = []
    folded = {name.lower() for name, _ in mine}
    found += [f"got {name!r}" for name, _ in arrived if name.lower() not in folded]
    kept = {name.lower(): (name, value) for name, value in arrived}
    for name, value in mine:
        if name.lower() not in kept:
            found.append(f"lost {name!r}")
        else:
            if kept[name.lower()][0] != name:
                found.append(f"the letter case of {name!r}")
            if kept[name.lower()][1] != value:
                found.append(f"the value of {name!r}")
    order = [name.lower() for name, _ in arrived if name.lower() in folded]
    if order != [name.lower() for name, _ in mine if name.lower() in kept]:
        found.append("the order of headers")
    return tuple(one[:_SHOWN] for one in found) or ("blanks or line ends",)


def _lines(request: bytes) -> list[bytes]:
    lines = request.partition(b"\r\n\r\n")[0].split(b"\r\n") if request else []
    return [line for line in lines if line.partition(b":")[0].strip().lower() not in _NEXT_ONLY]


def _fields(lines: list[bytes]) -> list[tuple[str, str]]:
    pairs = [line.decode("latin-1").partition(":") for line in lines]
    return [(name.strip(), value.strip()) for name, _, value in pairs]


def certificate(exchange: Exchange, expected: str) -> Look:
    """Whether a TLS session showed the far end's own certificate, by its fingerprint: no clock is needed for that."""
    session = exchange.session
    if session is None or not session.chain:
        return Look(failure=(session.alert if session is not None else "") or exchange.failure or "no certificate")
    shown = fingerprint(session.chain[0])
    if shown == expected:
        return Look(touched=False)
    by = issuer(session.chain[0])
    return Look(touched=True, own=False, changes=(f"certificate {shown[:16]}",), issuer=by)


def sent_options(exchange: Exchange) -> bytes:
    """TCP options of the SYN as it left."""
    for heard in exchange.heard:
        header = heard.packet.header
        if heard.outgoing and isinstance(header, Tcp) and header.flags & Flags.SYN:
            return header.options
    return b""


def option_names(options: bytes) -> dict[str, str]:
    """TCP options by name (RFC 9293, section 3.1), with their data in hexadecimal digits, as far as readable."""
    found: dict[str, str] = {}
    at = 0
    while at < len(options) and options[at]:
        if options[at] == 1:
            at += 1
            continue
        length = options[at + 1] if at + 1 < len(options) else 0
        if length < 2 or at + length > len(options):
            break
        found[_OPTIONS.get(options[at], str(options[at]))] = options[at + 2 : at + length].hex()
        at += length
    return found


def option_changes(look: Look) -> tuple[str, ...]:
    """What became of the SYN's options on the way, in words. Time stamps differ by nature and do not count."""
    if look.syn is None or not look.options:
        return ()
    left, arrived = option_names(look.options), option_names(look.syn.options)
    lost = [f"{name} removed" for name in left if name not in arrived]
    changes = [f"{name} changed" for name in left if name in arrived and name != "timestamps"
               and arrived[name] != left[name]]  # fmt: skip
    return (*lost, *changes, *(f"{name} added" for name in arrived if name not in left))


class Quotes(msgspec.Struct):
    """Routers that quote requests which died on them, by TTL: those that were untouched by then, and those that were
    not (Tracebox: Detal et al., IMC 2013)."""

    untouched: list[int] = []
    touched: list[int] = []


class Path(msgspec.Struct):
    """A sweep: the request, or the ClientHello, at every TTL, and its twin that comes through untouched."""

    shots: list[Shot] = []
    twins: list[tuple[int, bool]] = []
    routers: dict[int, str] = {}
    quotes: Quotes = msgspec.field(default_factory=Quotes)
    place: Place | None = None

    @property
    def arrives(self) -> int | None:
        """Lowest TTL at which the twin was answered."""
        return min((ttl for ttl, answered in self.twins if answered), default=None)

    def show(self) -> dict[str, Any]:
        """For a finding's details."""
        return {
            "answered_at_ttl": min((s.ttl for s in self.shots if s.elicited), default=None),
            "arrives_at_ttl": self.arrives,
            "quoted_untouched": sorted(self.quotes.untouched), "quoted_touched": sorted(self.quotes.touched),
            "path": [{"ttl": t, "address": "" if is_home(a) else a} for t, a in sorted(self.routers.items())],
        }  # fmt: skip


class Seen:
    """Everything that was looked at in one run."""

    def __init__(self, target: str, harmless: str, far: str) -> None:
        self.target, self.harmless, self.far = target, harmless, far
        self.ports: dict[Kind, tuple[int, int]] = {}  # (known, random)
        self.certificates: list[str] = []  # as the far end tells it over its token channel: before, after
        self.looks: dict[tuple[Kind, Phase, Cell], list[Look]] = defaultdict(list)
        self.paths: dict[Kind, Path] = {}
        self.usual: frozenset[str] = frozenset()
        self.tos: dict[int, list[int | None]] = {}  # sent → arrived, None where it did not come
        self.tos_path: dict[int, int] = {}  # TTL → TOS as the router there quotes it

    def touched(self, kind: Kind, cell: Cell, phase: Phase | None = None) -> tuple[int, int]:
        """(touched, told) of the looks at a cell, in one phase or in all."""
        phases: tuple[Phase, ...] = ("before", "trial", "after") if phase is None else (phase,)
        told = [look.touched for one in phases for look in self.looks[kind, one, cell] if look.touched is not None]
        return sum(told), len(told)

    def twin(self, kind: Kind, phases: tuple[Phase, ...] = ("before", "after")) -> Cell | None:
        """A cell that came through in those phases, and untouched each time."""
        for cell in TWINS:
            if all(self.touched(kind, cell, phase)[1] for phase in phases) and not self.touched(kind, cell)[0]:
                return cell
        return None

    def changed(self) -> list[Kind]:
        """The kinds of which a trial came through changed."""
        return [kind for kind in self.ports if any(look.touched for look in self.trials(kind))]

    def trials(self, kind: Kind) -> list[Look]:
        """The trials that something came back from."""
        return [look for look in self.looks[kind, "trial", TRIAL] if look.touched is not None]
