"""The line under the probe: the default route's interface, gateway and addresses, and word when they change.

What is found here steers the daemon and is shown to the volunteer. None of it is ever published but the kind of access,
and that only where the volunteer left it open. pyroute2 costs 9 MB and is imported nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import msgspec

from probe.model.config import LineConfig
from probe.model.finding import Line

log = logging.getLogger(__name__)

SETTLE = 1.0
"""Seconds after the last event of a burst: a link that comes up makes a dozen of them."""
_MAIN_TABLE = 254
_FAMILIES = (2, 10)  # AF_INET, AF_INET6
_UNIVERSE = 0  # RT_SCOPE_UNIVERSE
_GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400  # RTMGRP_LINK, IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE
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


async def detect() -> Link:
    """Look at the routes and addresses of this network namespace, now. Raises OSError where netlink can't be opened."""
    from pyroute2 import AsyncIPRoute

    async with AsyncIPRoute() as netlink:
        return await _detect(netlink)


async def _detect(netlink: Any) -> Link:
    routes = [(r, f) for f in _FAMILIES for r in await _dump(netlink.route("dump", family=f, table=_MAIN_TABLE))]
    defaults = [(f, r.get("priority") or 0, r) for r, f in routes if not r.get("dst") and r["dst_len"] == 0]
    usable = [(f, priority, r) for f, priority, r in defaults if r.get("oif")]
    if not usable:
        return Link()
    _, _, best = min(usable, key=lambda entry: entry[:2])
    index = best.get("oif")
    names = {link["index"]: link.get("ifname") or "" for link in await _dump(netlink.link("dump"))}
    addresses = sorted(
        address.get("local") or address.get("address")
        for address in await _dump(netlink.addr("dump"))
        if address["index"] == index and address["scope"] == _UNIVERSE
    )
    return Link(names.get(index, ""), best.get("gateway") or "", tuple(addresses))


async def _dump(request: Any) -> list[Any]:
    return [message async for message in await request]


async def watch(changed: Callable[[Link], None], settle: float = SETTLE) -> None:
    """Call ``changed`` with what is there now, and again whenever it is another, until cancelled.

    Where netlink fails (a burst that overran the socket, a namespace that went) it begins anew after a while.
    """
    known: Link | None = None
    while True:
        try:
            async with aclosing(_events(settle)) as events:
                async for _ in events:
                    found = await detect()
                    if found != known:
                        known = found
                        changed(found)
        except (OSError, KeyError) as error:  # pyroute2 raises KeyError when no netlink port is free
            log.warning("can't follow the line's changes: %s; next attempt in %.0f s", error, _RETRY)
        await asyncio.sleep(_RETRY)


async def _events(settle: float) -> AsyncGenerator[None, None]:
    """Once at the start, then once after each burst of changes."""
    from pyroute2 import AsyncIPRoute

    async with AsyncIPRoute() as netlink:
        await netlink.bind(groups=_GROUPS)
        yield
        reader = asyncio.ensure_future(_next_messages(netlink))
        try:
            while True:
                await reader
                while True:  # until the burst is over
                    reader = asyncio.ensure_future(_next_messages(netlink))
                    done, _ = await asyncio.wait([reader], timeout=settle)
                    if not done:
                        break
                    await reader
                yield
        finally:
            reader.cancel()


async def _next_messages(netlink: Any) -> None:
    async for _ in netlink.get():
        return
