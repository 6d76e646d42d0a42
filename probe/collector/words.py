"""The monitor's words, apart from everything that computes: plain sentences for people who never saw a packet."""

from __future__ import annotations

from typing import NamedTuple

from probe.model.finding import Access, Interference, Location, Placement, Technique, Verdict


class Word(NamedTuple):
    """A short label and a sentence that explains it."""

    label: str
    explained: str


VERDICTS: dict[Verdict, Word] = {
    "interfered": Word("Interference", "Something between the home and the server tampers with the traffic."),
    "down": Word("Server down", "The target does not answer a vantage point elsewhere either: nobody's censorship."),
    "clean": Word("No interference", "The target and its controls worked as they should."),
    "inconclusive": Word("Not conclusive", "Something failed, but the proof is not strong enough to say what."),
}

TECHNIQUES: dict[Technique, Word] = {
    "dns_injection": Word("Forged DNS answers", "A forged answer reaches the line before the resolver's own."),
    "dns_redirect": Word("DNS diverted", "The operator answers in place of the resolver that was asked."),
    "dns_lie": Word("Lying resolver", "The operator's own resolver gives a false address."),
    "tcp_reset": Word("Connections cut", "Forged resets tear the connection down once the name is seen in it."),
    "trigger_drop": Word("Packets dropped", "Packets vanish once the name is seen in the connection."),
    "block_page": Word("Block page", "A forged page comes back in place of the real one."),
    "tls_interception": Word(
        "Encryption intercepted", "Somebody else's certificate is shown in place of the server's."
    ),
    "ip_blackhole": Word("Packets swallowed", "Packets to the server disappear on the way; its neighbours answer."),
    "icmp_reject": Word("Packets rejected", "A router on the way refuses packets to the server."),
    "port_block": Word("Port blocked", "One port is closed on the way, whatever is sent to it."),
    "udp_block": Word("UDP blocked", "No UDP gets through."),
    "voip_signalling": Word("Calls blocked", "Call set-up is recognised and cut."),
    "voip_stun": Word("Calls blocked", "The search for a way to the other caller (STUN) is recognised and cut."),
    "voip_media": Word("Calls silenced", "The call connects, but its sound is recognised and cut."),
    "sip_alg": Word("Calls rewritten", "Call set-up is rewritten on the way."),
    "throttling": Word("Slowed down", "This traffic is slowed; the same bytes inverted are not."),
    "header_tampering": Word("Content altered", "What arrives is not what was sent."),
}

PLACEMENTS: dict[Placement, str] = {
    "in_path": "The interfering box sits in the path: traffic goes through it.",
    "on_path": "The interfering box listens beside the path and injects packets of its own.",
    "resolver": "The resolver itself does it.",
    "unknown": "",
}

MEASUREMENTS = {
    "dns_injection": "Name lookup",
    "dns_resolver": "Operator's resolver",
    "tcp_reset": "Web connection",
    "ttl_path": "Path",
    "blackhole": "Reachability",
    "voip": "Calls",
    "throttling": "Speed",
    "tampering": "Content",
}

ACCESS: dict[Access, str] = {"fixed": "fixed line", "mobile": "mobile", "unknown": ""}

GROUPS = {"voip": "Calls", "calls": "Calls", "hosting": "Hosting company", "press": "Press", "": "Other targets"}


def measurement(name: str) -> str:
    """A measurement in plain words; a new one by its own name."""
    return MEASUREMENTS.get(name, name.replace("_", " ").replace("-", " ").capitalize())


def group(name: str) -> str:
    """The title of a group of targets."""
    return GROUPS.get(name.casefold(), name[:1].upper() + name[1:])


def technique(interference: Interference | None) -> Word | None:
    """What is done to the line, in plain words."""
    return None if interference is None else TECHNIQUES[interference.technique]


def place(location: Location | None) -> str:
    """Where on the path, in a few words: always the link between two hops, never one router alone."""
    if location is None:
        return ""
    ends = [f"hop {ttl} " in location.attribution for ttl in (location.clean_ttl, location.first_ttl)]
    if all(ends):
        return location.attribution
    between = f"between hops {location.clean_ttl} and {location.first_ttl}"
    return f"{between}, {location.attribution}" if location.attribution else between


def unsure(number: int) -> str:
    """How many tests decided nothing: never left out of a sentence that says that nothing was found."""
    return f"{number} {'was' if number == 1 else 'were'} not conclusive"


def count(number: int, one: str, many: str = "") -> str:
    """``1 probe``, ``2 probes``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
