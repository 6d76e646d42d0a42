"""TLS ended on the way."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509

from probe.lab.kinds import TlsMitm

pytestmark = pytest.mark.lab

READ = """
import socket, ssl, sys
context = ssl.create_default_context(); context.check_hostname = False; context.verify_mode = ssl.CERT_NONE
with socket.create_connection((sys.argv[1], 443), timeout=3) as raw:
    with context.wrap_socket(raw, server_hostname=sys.argv[2]) as session:
        session.sendall(f"GET / HTTP/1.1\\r\\nHost: {sys.argv[2]}\\r\\n\\r\\n".encode())
        print(ssl.DER_cert_to_PEM_cert(session.getpeercert(True)), session.recv(4096).decode())
"""


def read(lab: Any, name: str, address: str) -> tuple[str, str, str]:
    """Issuer and subject of the certificate, and what was answered."""
    done = lab.run("sale", ["python3", "-c", READ, address, name], capture_output=True, text=True, check=True)
    leaf = x509.load_pem_x509_certificate(done.stdout[: done.stdout.index("END")].encode() + b"END CERTIFICATE-----\n")
    names = (leaf.issuer, leaf.subject)
    issuer, subject = (str(one.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value) for one in names)
    return issuer, subject, done.stdout


@pytest.mark.parametrize("address", ["203.0.113.10", "2001:db8:a0::10"])
def test_chosen_names_get_another_certificate_and_their_page(internet: Callable[..., Any], address: str) -> None:
    lab = internet(TlsMitm(at="sale.core", words=("press",), issuer="Sale Gateway"))
    issuer, subject, page = read(lab, "press.example", address)
    assert (issuer, subject) == ("Sale Gateway", "press.example")
    assert "Welcome to press.example" in page
    issuer, _, page = read(lab, "control.example", address)
    assert issuer == "Colibri lab"
    assert "Welcome to control.example" in page
    assert ssl.OPENSSL_VERSION
