"""``/metrics``: gathers what the metrics tell. Not for the public: docs/api.md says how it is kept to oneself."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from probe import __version__
from probe.collector.metrics import MEDIA, Gauges, exposition
from probe.collector.search import MOST_INCIDENTS
from probe.collector.store import Reader


class Now(msgspec.Struct, frozen=True):
    """What only the process itself knows. ``viewers_dropped``: since it began; ``trouble``: empty if nothing ails."""

    viewers: int
    viewers_dropped: int
    trouble: str
    public_waiting: int


def route(reader: Reader, now: Callable[[], Now]) -> Route:
    """The route. ``now`` may be called from another thread than the one that made it."""

    def metrics(_: Request) -> Response:
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
