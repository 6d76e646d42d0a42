"""Namespaces held by descriptors."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from probe.lab.namespaces import Namespace, prepare, raise_loopback

pytestmark = pytest.mark.lab


def own() -> str:
    return str(Path("/proc/thread-self/ns/net").readlink())


def test_the_thread_comes_back_also_after_an_error() -> None:
    before = own()
    namespace = Namespace.create("one")
    assert own() == before
    with namespace.inside():
        assert own() != before
    assert own() == before
    with pytest.raises(FileNotFoundError), namespace.inside():
        Path("/proc/sys/net/nonsense").read_text()
    assert own() == before
    namespace.close()


def test_another_process_enters_by_the_path_of_the_descriptor() -> None:
    namespace = Namespace.create("one")
    with namespace.inside():
        inside = own()
    seen = subprocess.run(["nsenter", f"--net={namespace.path}", "readlink", "/proc/self/ns/net"],
                          capture_output=True, text=True, check=True)
    assert seen.stdout.strip() == inside != own()
    namespace.close()
    with pytest.raises(OSError, match="No such file"):
        Namespace.open("one", namespace.path)


def test_a_socket_stays_in_the_namespace_it_was_made_in() -> None:
    first, second = Namespace.create("one"), Namespace.create("two")
    for namespace in (first, second):  # the same port twice: only apart from each other
        with namespace.inside():
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    sockets = [namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) for namespace in (first, first, second)]
    sockets[0].bind(("127.0.0.1", 4000))
    with pytest.raises(OSError, match="in use"):
        sockets[1].bind(("127.0.0.1", 4000))
    sockets[2].bind(("127.0.0.1", 4000))
    for opened in sockets:
        opened.close()
    first.close()
    second.close()


def test_settings_are_the_namespaces_own() -> None:
    namespace = Namespace.create("one")
    with namespace.inside():
        namespace.sysctl({"ipv4/ip_default_ttl": 77})
        inside = subprocess.run(["cat", "/proc/sys/net/ipv4/ip_default_ttl"], capture_output=True, check=True).stdout
    assert (inside.strip(), Path("/proc/sys/net/ipv4/ip_default_ttl").read_text().strip()) == (b"77", "64")
    namespace.close()


def test_an_unknown_interface_cannot_be_prepared() -> None:
    namespace = Namespace.create("one")
    with namespace.inside(), pytest.raises(OSError, match="No such device"):
        prepare(["nothing"])
    namespace.close()


def test_a_new_namespace_gets_its_loopback() -> None:
    namespace = Namespace.create("one")
    try:
        with namespace.inside(), socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            with pytest.raises(OSError, match="unreachable"):
                socket.create_connection(listener.getsockname())
            for _ in range(2):  # a second time changes nothing
                raise_loopback()
            socket.create_connection(listener.getsockname()).close()
    finally:
        namespace.close()
