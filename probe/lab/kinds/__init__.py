"""Every kind of box, as data: what a scenario's file may say. What they do is in ``boxes``, ``servers``, ``rules``."""

from __future__ import annotations

from probe.lab.kinds.base import BaseBox
from probe.lab.kinds.filtering import Ban, PortBlock, Recognise, RouteAway, UdpBlock
from probe.lab.kinds.forging import BlockPage, DnsInjector, Drop, ResetInjector
from probe.lab.kinds.intercepting import DnsRedirect, HttpProxy, Nat, Portal, TlsMitm
from probe.lab.kinds.links import EqualPaths, IcmpRule, Impair
from probe.lab.kinds.rewriting import Rewrite, SipAlg
from probe.lab.kinds.serving import HomeDns, Installed, Resolver, Web
from probe.lab.kinds.shaping import Line, Throttle

Inspecting = DnsInjector | ResetInjector | Drop | BlockPage | Recognise | Throttle | Line | Rewrite | SipAlg
"""Boxes that look into packets, in user space."""
Intercepting = DnsRedirect | HttpProxy | TlsMitm | Portal
"""Boxes that are a server, and rules by which the kernel hands it what was meant for others."""
Ruling = PortBlock | UdpBlock | RouteAway | Ban | IcmpRule | HomeDns | Nat | Intercepting
"""Boxes that are rules of a node's kernel."""
Box = Inspecting | Ruling | Resolver | Web | Installed | Impair | EqualPaths

__all__ = [
    "Ban", "BaseBox", "BlockPage", "Box", "DnsInjector", "DnsRedirect", "Drop", "EqualPaths", "HomeDns", "HttpProxy",
    "IcmpRule", "Impair", "Inspecting", "Installed", "Intercepting", "Line", "Nat", "PortBlock", "Portal", "Recognise",
    "ResetInjector", "Resolver", "Rewrite", "RouteAway", "Ruling", "SipAlg", "Throttle", "TlsMitm", "UdpBlock", "Web",
]  # fmt: skip
