"""Local ports of one run."""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from random import Random

import pytest

from probe.engine.ports import BLOCK, MASK, Ports
from probe.model.errors import CannotMeasure


def test_every_port_of_the_block_once() -> None:
    for seed in range(20):
        ports = Ports(Random(seed))
        taken = [ports.take() for _ in range(BLOCK)]
        assert len(set(taken)) == BLOCK
        assert {port & MASK for port in taken} == {ports.base}
        with pytest.raises(CannotMeasure, match="1024 flows"):
            ports.take()


def test_blocks_lie_above_the_kernels_own_range() -> None:
    text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text()
    bases = {Ports(Random(seed)).base for seed in range(50)}
    assert len(bases) > 1
    assert min(bases) > int(text.split()[1])
    assert max(bases) + BLOCK - 1 <= 65535


@pytest.mark.loopback
def test_a_port_in_use_is_passed_over() -> None:
    twin = Ports(Random(3))
    with socket.socket() as holder, socket.socket() as sock:
        port = twin.bind(holder, "127.0.0.1")
        assert Ports(Random(3)).bind(sock, "127.0.0.1") == port + 1 or port % BLOCK == BLOCK - 1
        assert sock.getsockname()[1] != port


class Gone(socket.socket):
    """A socket of a machine that has lost the address."""

    def bind(self, address: object) -> None:
        raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address", address)


def test_an_address_that_has_gone_is_not_a_thousand_tries() -> None:
    ports = Ports(Random(1))
    with Gone() as sock, pytest.raises(OSError, match="assign"):
        ports.bind(sock, "198.51.100.200")
    assert len([ports.take() for _ in range(BLOCK - 1)]) == BLOCK - 1
