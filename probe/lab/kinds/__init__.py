"""Every kind of box, as data: what a scenario's file may say. What they do is in ``boxes``, ``servers``, ``rules``."""

from __future__ import annotations

from probe.lab.kinds.base import BaseBox
from probe.lab.kinds.filtering import Ban, PortBlock, Recognise, RouteAway, UdpBlock
from probe.lab.kinds.forging import BlockPage, DnsInjector, Drop, ResetInjector
from probe.lab.kinds.links import EqualPaths, IcmpRule, Impair
from probe.lab.kinds.rewriting import Rewrite, SipAlg
from probe.lab.kinds.serving import HomeDns, Resolver, Web
from probe.lab.kinds.shaping import Line, Throttle

Inspecting = DnsInjector | ResetInjector | Drop | BlockPage | Recognise | Throttle | Line | Rewrite | SipAlg
"""Boxes that look into packets, in user space."""
Ruling = PortBlock | UdpBlock | RouteAway | Ban | IcmpRule | HomeDns
"""Boxes that are rules of a node's kernel."""
Box = Inspecting | Ruling | Resolver | Web | Impair | EqualPaths

__all__ = [
    "Ban", "BaseBox", "BlockPage", "Box", "DnsInjector", "Drop", "EqualPaths", "HomeDns", "IcmpRule", "Impair",
    "Inspecting", "Line", "PortBlock", "Recognise", "ResetInjector", "Resolver", "Rewrite", "RouteAway", "Ruling",
    "SipAlg", "Throttle", "UdpBlock", "Web",
]  # fmt: skip
