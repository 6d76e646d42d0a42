"""The line under the probe: the default route's interface, gateway and addresses, and word when they change.

What is found here steers the daemon and is shown to the volunteer. None of it is ever published but the kind of access,
and that only where the volunteer left it open.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing

import msgspec

from probe.engine import netlink
from probe.model.config import LineConfig
from probe.model.finding import Line

log = logging.getLogger(__name__)

SETTLE = 1.0
"""Seconds after the last event of a burst: a link that comes up makes a dozen of them."""
_MAIN_TABLE = 254
_UNIVERSE = 0  # RT_SCOPE_UNIVERSE
_RETRY = 30.0


class Link(msgspec.Struct, frozen=True):
    """Where the default route leads; all empty without one. IPv4's, or IPv6's where there is only that."""

    interface: str = ""
    gateway: str = ""
    addresses: tuple[str, ...] = ()

    @property
    def up(self) -> bool:
        """Whether there is a default route and an address to send from."""
        return bool(self.interface and self.addresses)


def identity(config: LineConfig, link: Link) -> Line:
    """What may be told of the line: the volunteer's word, and the kind of access where it shows and they gave none."""
    mobile = config.access == "unknown" and link.interface.startswith(("wwan", "rmnet"))
    access = "mobile" if mobile else config.access
    return Line(operator=config.operator, asn=config.asn, country=config.country, access=access)


def detect() -> Link:
    """Look at the routes and addresses of this network namespace, now. Raises OSError where netlink does not tell."""
    routes, addresses = netlink.look()
    usable = [r for r in routes if not r.length and r.table == _MAIN_TABLE and r.interface]
    if not usable:
        return Link()
    best = min(usable, key=lambda r: (r.family, r.priority))
    own = sorted(a.address for a in addresses if (a.interface, a.scope) == (best.interface, _UNIVERSE))
    return Link(netlink.name(best.interface), best.gateway, tuple(own))


async def watch(changed: Callable[[Link], None], settle: float = SETTLE) -> None:
    """Call ``changed`` with what is there now, and again whenever it is another, until cancelled.

    Where netlink fails (a burst that overran the socket, a namespace that went) it begins anew after a while.
    """
    known: Link | None = None
    while True:
        try:
            async with aclosing(netlink.changes(settle)) as events:
                async for _ in events:
                    found = detect()
                    if found != known:
                        known = found
                        changed(found)
        except OSError as error:
            log.warning("can't follow the line's changes: %s; next attempt in %.0f s", error, _RETRY)
        await asyncio.sleep(_RETRY)
