"""The lab's web servers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import subprocess
from collections.abc import Awaitable, Callable

import pytest

from probe.lab.kinds import Web
from probe.lab.namespaces import Namespace
from probe.lab.servers import certificate
from probe.lab.servers.web import WebServer
from probe.wire import http

pytestmark = pytest.mark.lab

Visit = Callable[[str, int], Awaitable[str]]


def serve(spec: Web, work: Callable[[Visit], Awaitable[None]]) -> None:
    """Run ``work`` against a server in a namespace of its own; ``visit(name, port)`` gives status or failure."""
    namespace = Namespace.create("x")
    with namespace.inside():
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    context, authority = certificate.make(["press.example"])

    async def visit(name: str, port: int) -> str:
        loop = asyncio.get_running_loop()
        client = ssl.create_default_context(cadata=authority)
        client.check_hostname = False
        connection = namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            await asyncio.wait_for(loop.sock_connect(connection, ("127.0.0.1", port)), 1)
            secure = {"ssl": client, "server_hostname": name} if port == 443 else {}
            reader, writer = await asyncio.open_connection(sock=connection, **secure)  # type: ignore[arg-type]
            if name:
                writer.write(http.request(name))
            found = await asyncio.wait_for(reader.read(), 2)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            response = http.decode_response(found)
            return f"{response.status} {http.title(response.body)}"
        except (OSError, TimeoutError) as error:
            return type(error).__name__
        finally:
            connection.close()

    async def main() -> None:
        server = WebServer(namespace, spec, context, {"press.example"})
        server.start()
        await work(visit)
        server.close()
        await asyncio.sleep(0.01)

    asyncio.run(main())
    namespace.close()


def test_any_name_is_welcome() -> None:
    async def work(visit: Visit) -> None:
        for port in (80, 443):
            assert await visit("press.example", port) == "200 press.example"
            assert await visit("other.example", port) == "200 other.example"

    serve(Web(at="x"), work)


def test_unknown_names_can_be_reset() -> None:
    async def work(visit: Visit) -> None:
        for port in (80, 443):
            assert await visit("www.press.example", port) == "200 www.press.example"
            assert await visit("other.example", port) == "ConnectionResetError"

    serve(Web(at="x", unknown_host="reset", unknown_sni="reset"), work)


def test_a_port_can_be_closed() -> None:
    async def work(visit: Visit) -> None:
        assert await visit("press.example", 80) == "200 press.example"
        assert await visit("press.example", 443) == "ConnectionRefusedError"

    serve(Web(at="x", ports=(80,)), work)


def test_the_idle_are_reset() -> None:
    async def work(visit: Visit) -> None:
        assert await visit("press.example", 80) == "200 press.example"
        assert await visit("", 80) == "ConnectionResetError"

    serve(Web(at="x", idle_reset=0.05), work)
