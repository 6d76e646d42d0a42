"""The monitor's words, apart from everything that computes: plain sentences for people who never saw a packet.

They stand here in English, marked; a :class:`Language` says them.
"""

from __future__ import annotations

from typing import NamedTuple

from markupsafe import Markup, escape

from probe.collector.incidents.model import Counted
from probe.collector.languages.language import Language, mark
from probe.model.finding import Access, Hop, Interference, Location, Placement, Technique, Verdict


class Word(NamedTuple):
    """A short label and a sentence that explains it."""

    label: str
    explained: str


VERDICTS: dict[Verdict, Word] = {
    "interfered": Word(
        mark("Interference"), mark("Something between the home and the server tampers with the traffic.")
    ),
    "down": Word(
        mark("Server down"),
        mark("The target does not answer a vantage point elsewhere either: nobody's censorship."),
    ),
    "clean": Word(mark("No interference"), mark("The target and its controls worked as they should.")),
    "inconclusive": Word(
        mark("Not conclusive"), mark("Something failed, but the proof is not strong enough to say what.")
    ),
}

TECHNIQUES: dict[Technique, Word] = {
    "dns_injection": Word(
        mark("Forged DNS answers"), mark("A forged answer reaches the line before the resolver's own.")
    ),
    "dns_redirect": Word(
        mark("DNS diverted"), mark("The operator answers in place of the resolver that was asked.")
    ),
    "dns_lie": Word(mark("Lying resolver"), mark("The operator's own resolver gives a false address.")),
    "tcp_reset": Word(
        mark("Connections cut"), mark("Forged resets tear the connection down once the name is seen in it.")
    ),
    "trigger_drop": Word(
        mark("Packets dropped"), mark("Packets vanish once the name is seen in the connection.")
    ),
    "block_page": Word(mark("Block page"), mark("A forged page comes back in place of the real one.")),
    "tls_interception": Word(
        mark("Encryption intercepted"), mark("Somebody else's certificate is shown in place of the server's.")
    ),
    "ip_blackhole": Word(
        mark("Packets swallowed"), mark("Packets to the server disappear on the way; its neighbours answer.")
    ),
    "icmp_reject": Word(mark("Packets rejected"), mark("A router on the way refuses packets to the server.")),
    "port_block": Word(mark("Port blocked"), mark("One port is closed on the way, whatever is sent to it.")),
    "udp_block": Word(mark("UDP blocked"), mark("No UDP gets through.")),
    "voip_signalling": Word(mark("Calls blocked"), mark("Call set-up is recognised and cut.")),
    "voip_stun": Word(
        mark("Calls blocked"), mark("The search for a way to the other caller (STUN) is recognised and cut.")
    ),
    "voip_media": Word(mark("Calls silenced"), mark("The call connects, but its sound is recognised and cut.")),
    "sip_alg": Word(mark("Calls rewritten"), mark("Call set-up is rewritten on the way.")),
    "throttling": Word(mark("Slowed down"), mark("This traffic is slowed; the same bytes inverted are not.")),
    "header_tampering": Word(mark("Content altered"), mark("What arrives is not what was sent.")),
}

PLACEMENTS: dict[Placement, str] = {
    "in_path": mark("The interfering box sits in the path: traffic goes through it."),
    "on_path": mark("The interfering box listens beside the path and injects packets of its own."),
    "resolver": mark("The resolver itself does it."),
    "unknown": "",
}

MEASUREMENTS = {
    "dns_injection": mark("Name lookup"),
    "dns_resolver": mark("Operator's resolver"),
    "tcp_reset": mark("Web connection"),
    "ttl_path": mark("Path"),
    "blackhole": mark("Reachability"),
    "voip": mark("Calls"),
    "udp_trigger": mark("UDP protocols"),
    "throttling": mark("Speed"),
    "tampering": mark("Content"),
}

ACCESS: dict[Access, str] = {"fixed": mark("fixed line"), "mobile": mark("mobile"), "unknown": ""}

COUNTED: dict[Counted, str] = {
    "prefix": mark("Probes behind one public address range are one home."),
    "mixed": mark("Probes behind one public address range are one home; where the broker does not tell that range, "
                  "each probe counts as a home."),
    "probe": mark("The broker does not tell public address ranges, so each probe counts as a home, though several may "
                  "be in one."),
}  # fmt: skip
"""What told homes apart."""

_CALLS = mark("Calls")
GROUPS = {
    "voip": _CALLS, "calls": _CALLS, "hosting": mark("Hosting company"), "press": mark("Press"),
    "": mark("Other targets"),
}  # fmt: skip


def is_calls(group: str) -> bool:
    """Whether a group of targets is that of calls, which a title need not name again."""
    return GROUPS.get(group.casefold()) == _CALLS


def measurement(name: str, language: Language) -> str:
    """A measurement in plain words; a new one by its own name."""
    if name in MEASUREMENTS:
        return language.text(MEASUREMENTS[name])
    return name.replace("_", " ").replace("-", " ").capitalize()


def group(name: str, language: Language) -> str:
    """The title of a group of targets."""
    known = GROUPS.get(name.casefold())
    return name[:1].upper() + name[1:] if known is None else language.text(known)


def access(kind: Access, language: Language) -> str:
    """The kind of a line; empty where it is not known."""
    return language.text(ACCESS[kind]) if ACCESS[kind] else ""


def technique(interference: Interference | None) -> Word | None:
    """What is done to the line, in plain words."""
    return None if interference is None else TECHNIQUES[interference.technique]


def place(location: Location | None, language: Language) -> Markup:
    """Where on the path, in a few words: always the link between two hops, never one router alone."""
    if location is None:
        return Markup("")
    return language.html(
        "on the link between %(near)s and %(far)s",
        near=hop(location.clean_ttl, location.clean_hop, language),
        far=hop(location.first_ttl, location.first_hop, language),
    )


def hop(ttl: int, router: Hop | None, language: Language) -> Markup:
    """``hop 4 (198.18.4.1)``."""
    number = escape(str(ttl))
    if router is None or not router.address:
        return language.html("hop %(number)s", number=number)
    return language.html("hop %(number)s (%(address)s)", number=number, address=router.address)
