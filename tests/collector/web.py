"""A web server of the tests' own on loopback, in a thread: remembers what it was asked, answers as it is told."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator

import h11
import msgspec

from tests.collector.listener import Listener


class Asked(msgspec.Struct, frozen=True):
    """One request. ``headers`` by lower-case name."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Reply = tuple[int, dict[str, str], bytes] | bytes
"""(status, headers, body), or raw bytes that need not be HTTP. ``b""`` ends the connection without a word."""


class Web(Listener):
    """``url`` is its address; ``asked`` what came, in order."""

    def __init__(self, reply: Callable[[Asked], Reply], context: ssl.SSLContext | None = None) -> None:
        self.asked: list[Asked] = []
        self.reply = reply
        self._context = context
        super().__init__("web")
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self.port}"

    def serve(self, client: socket.socket) -> None:
        with contextlib.suppress(h11.RemoteProtocolError):
            if self._context is None:
                self._answer(client)
                return
            with self._context.wrap_socket(client, server_side=True) as secured:
                self._answer(secured)

    def _answer(self, client: socket.socket) -> None:
        connection = h11.Connection(h11.SERVER)
        body = bytearray()
        request: h11.Request | None = None
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(client.recv(65536))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
            else:
                break
        if request is None or not isinstance(event, h11.EndOfMessage):
            return
        headers = {name.decode(): value.decode() for name, value in request.headers}
        self.asked.append(Asked(request.method.decode(), request.target.decode(), headers, bytes(body)))
        reply = self.reply(self.asked[-1])
        if isinstance(reply, bytes):
            client.sendall(reply)
            return
        status, more, content = reply
        length = {} if "transfer-encoding" in more else {"content-length": str(len(content))}
        answer = h11.Response(status_code=status, headers=list({**length, **more, "connection": "close"}.items()))
        client.sendall((connection.send(answer) or b"") + (connection.send(h11.Data(data=content)) or b""))
        client.sendall(connection.send(h11.EndOfMessage()) or b"")


@contextlib.contextmanager
def serving(reply: Callable[[Asked], Reply], context: ssl.SSLContext | None = None) -> Iterator[Web]:
    """A server while the block lasts; with a ``context``, over TLS."""
    web = Web(reply, context)
    try:
        yield web
    finally:
        web.close()
