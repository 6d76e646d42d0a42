"""/metrics over ASGI, from a real store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.applications import Starlette

from probe.collector import instants, rest_metrics
from probe.collector.app import Site, make_app
from probe.collector.rest_metrics import Now
from probe.model import feed
from probe.model.config import CollectorConfig
from probe.model.errors import ConfigError

if TYPE_CHECKING:
    from tests.collector.conftest import Desk, FakeProbe

NOON = instants.from_text("2026-03-01T12:00:00.000Z")


def test_what_the_store_and_the_process_know(desk: Desk, probes: Callable[..., FakeProbe]) -> None:
    desk.give(probes().finding(), (feed.availability("p-one"), b"online"), (feed.availability("p-two"), b"offline"))
    desk.give((feed.finding("p-one", "dns_injection"), b"{"))
    app = Starlette(routes=[rest_metrics.route(desk.reader, lambda: Now(3, 1, "no broker", 7))])

    async def main() -> httpx.Response:
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 5))
        async with httpx.AsyncClient(transport=transport, base_url="http://collector") as client:
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


def asked(desk: Desk, host: str | None, secret: str, headers: dict[str, str]) -> httpx.Response:
    """/metrics of the whole application, asked for from an address."""

    async def main() -> httpx.Response:
        site = Site(desk.reader, lambda: "", lambda: NOON)
        app = make_app(site, [rest_metrics.route(desk.reader, lambda: Now(0, 0, "", 0), secret)])
        transport = httpx.ASGITransport(app, client=(host, 5) if host is not None else None)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://collector") as client:
            raw = {name.encode(): value.encode() for name, value in headers.items()}
            return await client.get("/metrics", headers=raw)

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("host", "secret", "headers", "status"),
    [
        ("127.0.0.1", "", {}, 200),
        ("::1", "", {}, 200),
        ("198.51.100.7", "", {}, 403),
        ("2001:db8::7", "", {}, 403),
        ("testclient", "", {}, 403),
        (None, "", {}, 403),
        # A web server on this machine that asks for somebody else.
        ("127.0.0.1", "", {"X-Forwarded-For": "198.51.100.7"}, 403),
        ("127.0.0.1", "", {"Forwarded": "for=198.51.100.7"}, 403),
        ("127.0.0.1", "", {"Via": "1.1 front"}, 403),
        ("127.0.0.1", "", {"X-Real-IP": "198.51.100.7"}, 403),
        ("198.51.100.7", "s3cret", {"Authorization": "Bearer s3cret"}, 200),
        ("198.51.100.7", "s3cret", {"Authorization": "bearer s3cret", "Via": "1.1 front"}, 200),
        ("198.51.100.7", "s3cret", {"Authorization": "Bearer s3cre"}, 403),
        ("198.51.100.7", "s3cret", {"Authorization": "Bearer "}, 403),
        ("198.51.100.7", "s3cret", {"Authorization": "Basic s3cret"}, 403),
        ("198.51.100.7", "s3cret", {"Authorization": "Bearer \u00e9"}, 403),
        ("198.51.100.7", "", {"Authorization": "Bearer "}, 403),
        ("198.51.100.7", "", {"Authorization": ""}, 403),
    ],
)
def test_who_may_read_them(
    desk: Desk, host: str | None, secret: str, headers: dict[str, str], status: int
) -> None:
    answer = asked(desk, host, secret, headers)
    assert answer.status_code == status
    if status == 403:
        assert "colibri_" not in answer.text
        assert "collector.metrics_token" in answer.json()["error"]


def test_the_token_stands_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("s3cret\nnot this\n")
    assert rest_metrics.token(CollectorConfig(metrics_token=str(file))) == "s3cret"
    assert rest_metrics.token(CollectorConfig()) == ""
    file.write_text("\n")
    for path in (file, tmp_path / "none"):
        with pytest.raises(ConfigError, match=r"collector\.metrics_token"):
            rest_metrics.token(CollectorConfig(metrics_token=str(path)))
