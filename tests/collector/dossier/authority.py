"""A time-stamping authority of the test's own: `openssl ts` behind an HTTP server on loopback."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CONFIG = """\
[tsa]
default_tsa = one
[one]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
certs = {folder}/trust.pem
signer_digest = sha256
default_policy = 1.3.6.1.4.1.13762.3
digests = sha256
ess_cert_id_alg = sha256
"""


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: str, issuer: str, key: rsa.RSAPrivateKey, signer: rsa.RSAPrivateKey, *, root: bool
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder().subject_name(_name(subject)).issuer_name(_name(issuer)).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30)).add_extension(x509.BasicConstraints(root, None), critical=True)
    )  # fmt: skip
    if not root:
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
        builder = builder.add_extension(usage, critical=True)
    return builder.sign(signer, hashes.SHA256())


def found(folder: Path, name: str = "Test Root") -> Path:
    """Make an authority in a folder: its root (PEM) is returned, `openssl ts` can sign in its name."""
    folder.mkdir(parents=True, exist_ok=True)
    root_key, own_key = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    root = _certificate(name, name, root_key, root_key, root=True)
    own = _certificate("Test TSA", name, own_key, root_key, root=False)
    (folder / "trust.pem").write_bytes(root.public_bytes(serialization.Encoding.PEM))
    (folder / "tsa.pem").write_bytes(own.public_bytes(serialization.Encoding.PEM))
    (folder / "tsa.key").write_bytes(own_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ))  # fmt: skip
    (folder / "serial").write_text("01\n")
    (folder / "tsa.cnf").write_text(CONFIG.format(folder=folder))
    return folder / "trust.pem"


def reply(folder: Path, query: bytes) -> bytes:
    """What the authority answers to a query (DER)."""
    (folder / "query.tsq").write_bytes(query)
    subprocess.run(
        ["openssl", "ts", "-reply", "-config", folder / "tsa.cnf", "-queryfile", folder / "query.tsq",
         "-out", folder / "reply.tsr"],
        capture_output=True, check=True,
    )  # fmt: skip
    return (folder / "reply.tsr").read_bytes()


class Asked:
    """What came in at the server: bodies and their type."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.bodies: list[bytes] = []
        self.types: list[str] = []


@contextmanager
def serve(folder: Path, answer: bytes | None = None, status: int = 200) -> Iterator[Asked]:
    """The authority on a port of loopback. ``answer``: always this, instead of a stamp."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked.bodies.append(body)
            asked.types.append(self.headers["Content-Type"])
            told = reply(folder, body) if answer is None else answer
            self.send_response(status)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *_: Any) -> None:
            """Nothing on the test's output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    asked = Asked(f"http://127.0.0.1:{server.server_address[1]}/tsa")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
