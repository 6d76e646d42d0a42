"""The door out of a namespace."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from probe.lab.namespaces import Namespace, raise_loopback
from probe.lab.relay import Relay

pytestmark = pytest.mark.lab


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    one = Namespace.create("one")
    with one.inside():
        raise_loopback()
    yield one
    one.close()


@asynccontextmanager
async def echo() -> AsyncIterator[int]:
    """A server on our own loopback that says everything back; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


async def dial(namespace: Namespace, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect inside the namespace."""
    end = namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        await asyncio.get_running_loop().sock_connect(end, ("127.0.0.1", port))
    except OSError:
        end.close()
        raise
    return await asyncio.open_connection(sock=end)


def test_bytes_come_through_both_ways_and_the_end_of_them_too(namespace: Namespace) -> None:
    async def go() -> bytes:
        async with echo() as port:
            relay = Relay(port)
            reader, writer = await dial(namespace, await relay.open(namespace))
            writer.write(b"x" * 300_000)
            writer.write_eof()
            heard = await asyncio.wait_for(reader.read(), 20)
            writer.close()
            await relay.close()
            return heard

    assert asyncio.run(go()) == b"x" * 300_000


def test_it_listens_inside_alone(namespace: Namespace) -> None:
    async def go() -> None:
        relay = Relay(1)
        port = await relay.open(namespace)
        with socket.socket() as outside:
            assert outside.connect_ex(("127.0.0.1", port)) != 0
        await relay.close()
        with pytest.raises(ConnectionRefusedError):
            await dial(namespace, port)

    asyncio.run(go())


def test_where_nobody_listens_outside_the_caller_is_hung_up_on(namespace: Namespace) -> None:
    async def go() -> bytes:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            relay = Relay(probe.getsockname()[1])
        reader, writer = await dial(namespace, await relay.open(namespace))
        heard = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        await relay.close()
        return heard

    assert asyncio.run(go()) == b""


def test_closing_it_ends_what_is_under_way(namespace: Namespace) -> None:
    async def go() -> bytes:
        async with echo() as port:
            relay = Relay(port)
            reader, writer = await dial(namespace, await relay.open(namespace))
            writer.write(b"hello")
            assert await asyncio.wait_for(reader.readexactly(5), 20) == b"hello"
            await relay.close()
            heard = await asyncio.wait_for(reader.read(), 20)
            writer.close()
            return heard

    assert asyncio.run(go()) == b""
