"""How many live streams one address may hold, so that nobody takes the seats of everybody else."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import AsyncIterator

from starlette.requests import Request

AT_ONE_ADDRESS = 500
"""Most at one IPv4 address or IPv6 /64. So many, since whole towns share an address behind their operator's."""


class Seats:
    """Counts the streams of each address. In one event loop."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    def free(self, request: Request) -> bool:
        """Whether the address that asks may have one more."""
        name = _name(request)
        return not name or self._taken[name] < AT_ONE_ADDRESS

    async def taken(self, request: Request, stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The stream; its seat is free again once it ends, however that is."""
        name = _name(request)
        self._taken[name] += 1
        try:
            async for piece in stream:
                yield piece
        finally:
            self._taken[name] -= 1
            if not self._taken[name]:
                del self._taken[name]
            await stream.aclose()  # type: ignore[attr-defined]  # the hub's is a generator


def _name(request: Request) -> str:
    """What its seats are counted under; empty where that would be everybody, as behind a web server that does not say
    for whom it asks."""
    try:
        address = ipaddress.ip_address(request.client.host if request.client else "")
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    if address.is_loopback:
        return ""
    return str(ipaddress.ip_network((address, 64 if address.version == 6 else 32), strict=False))
