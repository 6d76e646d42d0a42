"""The words of a dossier's cover: marked English sentences, in the order that each reader needs."""

from __future__ import annotations

from typing import Literal, NamedTuple

from probe.collector.dossier.excluded import Name, Unsure
from probe.collector.languages.language import mark

Recipient = Literal["regulator", "icann", "court", "journalist"]
Section = Literal[
    "facts", "cite", "timeline", "others", "place", "method", "excluded", "uncertain", "dissent", "check", "words",
]  # fmt: skip


class Letter(NamedTuple):
    """How one reader is spoken to. ``sections``: what is explained, in order."""

    to: str
    salutation: str
    opening: str
    closing: str
    sections: tuple[Section, ...]


LETTERS: dict[Recipient, Letter] = {
    "regulator": Letter(
        mark("To the regulatory authority"),
        mark("To the regulatory authority for telecommunications,"),
        mark("This dossier documents interference with the traffic of an operator's subscribers. It holds what the "
             "authority needs to establish it by itself, without trusting us."),
        mark("The authority can ask the operator which rule, route or device acts at the place named here, since when, "
             "on whose order and on what legal ground; and it can repeat the measurements from a line of its own."),
        ("facts", "timeline", "others", "place", "excluded", "uncertain", "dissent", "method", "check"),
    ),
    "icann": Letter(
        mark("To ICANN"),
        mark("To the Internet Corporation for Assigned Names and Numbers,"),
        mark("This dossier documents what happens to a name or an address inside one network. Whether other networks "
             "reach it in the same hours stands in the table of other lines."),
        mark("Nothing in it concerns how the name or the address is registered: it concerns how one network treats "
             "it, and at which link."),
        ("facts", "others", "place", "timeline", "excluded", "method", "uncertain", "dissent", "check"),
    ),
    "court": Letter(
        mark("To the court"),
        mark("To the court,"),
        mark("This dossier is made to be examined by an expert of the court's choice. Every result can be computed "
             "again from the packets that come with it; nothing rests on our word."),
        mark("Each finding was signed on the device that measured, the moment it was made; the manifest holds the "
             "hash of every file and is signed in turn. A change of any of them shows. What the dossier does not "
             "establish stands under what remains uncertain."),
        ("facts", "method", "check", "timeline", "others", "place", "excluded", "uncertain", "dissent", "words"),
    ),
    "journalist": Letter(
        mark("For the press"),
        mark("To whom it may concern in the newsroom,"),
        mark("This dossier holds figures that can be cited, each with its denominator. Please cite with them what "
             "remains uncertain."),
        mark("What can be said: that the traffic was interfered with, for so many of so many homes, between the dates "
             "given. What can't be said from this: who ordered it, and why."),
        ("facts", "cite", "timeline", "others", "uncertain", "dissent", "excluded", "place", "method", "check",
         "words"),
    ),
}  # fmt: skip

METHODS = {
    "blackhole": mark("Packets are sent to several ports of the address and, in the same minutes, to its neighbours "
                      "and to a server of ours. It counts only if those answer before and after while the address "
                      "stays silent, at least three times; then packets of rising reach find the link where they die."),
    "voip": mark("A call is made to a server of ours abroad: its signalling, its address discovery and its sound, each "
                 "beside a twin of the same size and timing whose bits are inverted. It counts only if the twins get "
                 "through and the calls don't, more often than chance allows."),
    "dns_injection": mark("A name is asked of an address that runs no resolver, and of one that does. An answer from "
                          "where nobody answers, or two answers that differ, is physical proof of forgery."),
    "dns_resolver": mark("The operator's resolver and trusted ones are asked for the same names in the same minutes, "
                         "and the addresses they give are tried."),
    "tcp_reset": mark("A connection is opened and the name sent through it; its harmless twin goes the same way. It "
                      "counts only if the connection with the name breaks at least three times, that of the twin "
                      "never, and the packet that broke it can't have come from the server."),
    "ttl_path": mark("Packets of rising reach are sent with and without what triggers the interference, until the same "
                     "link is found three times."),
    "tampering": mark("What was sent is compared with what arrived at a server of ours, and back."),
    "throttling": mark("The original and a copy with inverted bits are transferred by turns and their speeds compared "
                       "by statistical tests, twice."),
    "udp_trigger": mark("Packets of several protocols are sent beside twins of the same size whose bits are inverted."),
}  # fmt: skip


class Confounder(NamedTuple):
    """What else it could be, and what was counted that speaks against it."""

    what: str
    test: str


CONFOUNDERS: dict[Name, Confounder] = {
    "server_down": Confounder(
        mark("The server itself was down"),
        mark("Measurements on other lines in the same time that reached it: %(against)s of %(made)s."),
    ),
    "geofence": Confounder(
        mark("The server turns this country away"),
        mark("Measurements on other operators of the country that reached it: %(against)s of %(made)s."),
    ),
    "bad_line": Confounder(
        mark("The home's line or its wireless network was bad"),
        mark("Controls on the same line, before and after, that worked: %(against)s of %(made)s."),
    ),
    "chance": Confounder(
        mark("A few packets were lost by chance"),
        mark("Trials that agreed: %(against)s of %(made)s. One finding needs three at least, and its controls."),
    ),
    "one_home": Confounder(
        mark("One home is to blame: its router, or a filter that it chose"),
        mark("Homes in which it was seen: %(against)s of %(made)s."),
    ),
    "home_router": Confounder(
        mark("The router of the home does it"),
        mark("Findings that say where, by which it begins behind that router: %(against)s of %(made)s."),
    ),
    "far_network": Confounder(
        mark("The server's own network, or one on the way to it, does it"),
        mark("Findings by which the last router that everything passes is the operator's: %(against)s of %(made)s."),
    ),
    "whole_line": Confounder(
        mark("The operator had an outage"),
        mark("Other targets that worked on the same lines: %(against)s of %(made)s."),
    ),
    "clock": Confounder(
        mark("The dates are wrong"),
        mark("Findings dated by a clock that the network kept right: %(against)s of %(made)s."),
    ),
    "invented": Confounder(
        mark("Findings were changed on the way"),
        mark("Findings that bear the signature of the device that made them: %(against)s of %(made)s."),
    ),
}

UNSURE: dict[Unsure, str] = {
    "who": mark("Packets show where and how, not who ordered it, and not why."),
    "homes": mark("Where the public prefix of a home is not known, each probe counts as a home of its own."),
    "few": mark("Homes that it rests on, which are few: %(num)s."),
    "began": mark("When it began is known up to %(span)s."),
    "began_unknown": mark("When it began is not known: nobody had measured it before."),
    "ended_unknown": mark("When it ended is not known: nobody has measured it since."),
    "going_on": mark("It goes on: all numbers are those of the day of this dossier."),
    "silence": mark("Intervals in which nobody measured, or the server was down for everybody: %(num)s, together "
                    "%(span)s."),
    "dissent": mark("Probes on this operator that measured it and never saw it: %(num)s."),
    "not_located": mark("Findings that do not say where on the path it happens: %(num)s of %(all)s."),
    "alone": mark("No other operator of the country measured it in that time."),
    "no_abroad": mark("Nobody abroad measured it in that time."),
    "inconclusive": mark("Findings that were not conclusive, and count neither way: %(num)s of %(all)s."),
    "no_packets": mark("Findings whose packets were not kept, which can't be computed again: %(num)s of %(all)s."),
    "hidden": mark("Operators that are not shown, since fewer than %(k)s homes measured them and what is said of them "
                   "would be said of those homes: %(num)s."),
}  # fmt: skip

GLOSSARY = (
    (mark("Probe"), mark("A small device on a home line, put there by a volunteer, that measures on its own.")),
    (mark("Finding"), mark("One measurement by one probe, judged and signed.")),
    (mark("Control"), mark("A twin of the test, made in the same minute, that must work if nothing interferes.")),
    (mark("Incident"), mark("Findings that agree, of enough homes, from a first to a last date.")),
    (mark("Link"), mark("The line between two routers; interference acts on it, or in the router at its far end.")),
    (mark("Confidence"), mark("The lower end of the interval in which the true share of homes lies, 95 times of 100.")),
)  # fmt: skip
