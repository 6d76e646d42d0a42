"""Small servers of a test's own at the far end of the chain, in threads; they end with the test."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

from probe.engine import sockets
from probe.lab.lab import Lab


@contextlib.contextmanager
def udp_server(
    lab: Lab, port: int, answer: Callable[[bytes], bytes] = bytes, address: str = "203.0.113.10"
) -> Iterator[list[bytes]]:
    """Answers datagrams (an empty answer: not at all); yields the list of what came."""
    came: list[bytes] = []
    with lab.enter("server"):
        sock = socket.socket(sockets.family(address), socket.SOCK_DGRAM)
    sock.bind((address, port))
    sock.settimeout(0.05)
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                data, address = sock.recvfrom(65535)
                came.append(data)
                if reply := answer(data):
                    sock.sendto(reply, address)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield came
    finally:
        over.set()
        thread.join()
        sock.close()


@contextlib.contextmanager
def tcp_server(lab: Lab, port: int, serve: Callable[[socket.socket], None]) -> Iterator[None]:
    """Serves connections one after the other with ``serve``; whatever breaks them is their end."""
    with lab.enter("server"):
        listener = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("::", port))
    listener.listen(16)
    listener.settimeout(0.05)
    over = threading.Event()

    def accept() -> None:
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = listener.accept()
                connection.settimeout(5)
                with connection, contextlib.suppress(OSError):
                    serve(connection)

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        listener.close()
