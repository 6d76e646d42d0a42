"""``/metrics``: gathers what the metrics tell. Not for the public: for this machine, or for who shows the token."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from probe import __version__
from probe.collector.metrics import MEDIA, Gauges, exposition
from probe.collector.notify.secrets import first_line
from probe.collector.search import MOST_INCIDENTS
from probe.collector.store import Reader
from probe.model.config import CollectorConfig

FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
"""Headers by which a web server in front says that somebody else asks (RFC 7239, RFC 9110)."""
_REFUSED = "Metrics are for this machine, or for who shows the token of collector.metrics_token."


class Now(msgspec.Struct, frozen=True):
    """What only the process itself knows. ``viewers_dropped``: since it began; ``trouble``: empty if nothing ails."""

    viewers: int
    viewers_dropped: int
    trouble: str
    public_waiting: int


def token(config: CollectorConfig) -> str:
    """The token that opens the metrics to other machines; empty: there is none. Raises ConfigError."""
    return first_line(config.metrics_token, "collector.metrics_token") if config.metrics_token else ""


def route(reader: Reader, now: Callable[[], Now], secret: str = "") -> Route:
    """The route. ``now`` may be called from another thread than the one that made it; ``secret``: the token."""

    def metrics(request: Request) -> Response:
        if not (_is_local(request) or _shows(request, secret)):
            raise HTTPException(403, _REFUSED)
        probes, here = reader.probes(), now()
        gauges = Gauges(
            version=__version__,
            healthy=not here.trouble,
            viewers=here.viewers,
            viewers_dropped=here.viewers_dropped,
            online=sum(probe.online for probe in probes),
            offline=sum(not probe.online for probe in probes),
            last_seen=max((probe.seen for probe in probes), default=0),
            incidents_open=len(reader.incidents(MOST_INCIDENTS, open_only=True)),
            public_waiting=here.public_waiting,
        )
        return Response(exposition(reader.counters(), gauges), media_type=MEDIA)

    return Route("/metrics", metrics)


def _is_local(request: Request) -> bool:
    """Asked by this machine, and for itself."""
    if any(name in request.headers for name in FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.client.host if request.client else "").is_loopback
    except ValueError:
        return False


def _shows(request: Request, secret: str) -> bool:
    """A bearer token (RFC 6750)."""
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    return bool(secret) and scheme.lower() == "bearer" and hmac.compare_digest(shown.encode(), secret.encode())
