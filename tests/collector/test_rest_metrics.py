"""/metrics over ASGI, from a real store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx
from starlette.applications import Starlette

from probe.collector import instants, rest_metrics
from probe.collector.rest_metrics import Now
from probe.model import feed

if TYPE_CHECKING:
    from tests.collector.conftest import Desk, FakeProbe

NOON = instants.from_text("2026-03-01T12:00:00.000Z")


def test_what_the_store_and_the_process_know(desk: Desk, probes: Callable[..., FakeProbe]) -> None:
    desk.give(probes().finding(), (feed.availability("p-one"), b"online"), (feed.availability("p-two"), b"offline"))
    desk.give((feed.finding("p-one", "dns_injection"), b"{"))
    app = Starlette(routes=[rest_metrics.route(desk.reader, lambda: Now(3, 1, "no broker", 7))])

    async def main() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://collector") as client:
            return await client.get("/metrics")

    answer = asyncio.run(main())
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.text.splitlines()
    for line in (
        "colibri_healthy 0",
        "colibri_messages_received_total 4",
        "colibri_findings_stored_total 1",
        'colibri_messages_rejected_total{reason="bad_json"} 1',
        'colibri_probes{state="online"} 1',
        'colibri_probes{state="offline"} 1',
        f"colibri_last_message_timestamp_seconds {NOON // 1000}",
        "colibri_incidents_open 0",
        "colibri_monitor_viewers 3",
        "colibri_monitor_viewers_dropped_total 1",
        "colibri_public_waiting 7",
    ):
        assert line in lines
