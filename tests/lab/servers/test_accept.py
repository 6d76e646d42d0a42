"""Connections, taken and handed on."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import Iterator

import pytest

from probe.lab.namespaces import Namespace
from probe.lab.servers.accept import Acceptor, meant_for, readable, reset, streams

pytestmark = pytest.mark.lab


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    made = Namespace.create("x")
    with made.inside():
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    yield made
    made.close()


async def _serve(connection: socket.socket, port: int) -> None:
    await readable(connection)
    if connection.recv(1, socket.MSG_PEEK) == b"!":
        reset(connection)
        return
    reader, writer = await streams(connection)
    try:
        line = await reader.readuntil(b"\n")
        writer.write(b"%d " % port + line)
    finally:
        writer.close()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_each_connection_is_served_and_one_that_fails_hurts_no_other(namespace: Namespace, address: str) -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        acceptor = Acceptor(namespace, [7000, 7001], _serve)
        acceptor.start()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        for port, said, heard in ((7000, b"!", None), (7001, b"cut", b""), (7001, b"hello\n", b"7001 hello\n")):
            with namespace.socket(family, socket.SOCK_STREAM) as client:
                await loop.sock_connect(client, (address, port))
                await loop.sock_sendall(client, said)
                client.shutdown(socket.SHUT_WR)
                if heard is None:
                    with pytest.raises(ConnectionResetError):
                        await loop.sock_recv(client, 100)
                else:
                    assert await asyncio.wait_for(loop.sock_recv(client, 100), 2) == heard
        acceptor.close()
        await asyncio.sleep(0)

    asyncio.run(work())


def test_a_connection_that_comes_as_it_closes_is_no_fault(namespace: Namespace) -> None:
    faults: list[str] = []

    async def work() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: faults.append(context["message"]))
        acceptor = Acceptor(namespace, [7000], _serve)
        acceptor.start()
        await asyncio.sleep(0)  # it waits for the first connection
        with namespace.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            client.setblocking(True)
            client.connect(("127.0.0.1", 7000))
            loop.call_soon(acceptor.close)  # in the turn that finds the connection, and before it is taken
            await asyncio.sleep(0.01)

    asyncio.run(work())
    assert faults == []


def test_what_was_not_redirected_is_said_so(namespace: Namespace) -> None:
    listener = namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
    client = namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
    with listener, client:
        listener.bind(("127.0.0.1", 7000))
        listener.listen()
        client.connect_ex(("127.0.0.1", 7000))
        connection, _ = listener.accept()
        with connection, pytest.raises(OSError, match=r"."):
            meant_for(connection)
