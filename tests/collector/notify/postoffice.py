"""A mail server of the tests' own on loopback: plain, STARTTLS or TLS, with or without login."""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.collector.listener import Listener


def certificate(folder: Path) -> Path:
    """A file with a key and a certificate for 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "post office")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = folder / "post-office.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


class PostOffice(Listener):
    """``mail``: what was taken, with its recipients; ``refuse``: recipients that are not; ``say``: an answer that takes
    the place of the usual one to a command."""

    def __init__(self, pem: Path, tls: str) -> None:
        self.mail: list[tuple[list[str], EmailMessage]] = []
        self.logins: list[str] = []
        self.refuse: set[str] = set()
        self.say: dict[str, str] = {}
        self._tls = tls
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(pem)
        super().__init__("post office")

    def serve(self, plain: socket.socket) -> None:
        with contextlib.ExitStack() as stack:
            client = stack.enter_context(self._secured(plain) if self._tls == "tls" else plain)
            file = stack.enter_context(client.makefile("rb"))
            client.sendall(b"220 post office\r\n")
            recipients: list[str] = []
            while line := file.readline().decode().strip():
                verb, _, rest = line.partition(" ")
                verb = verb.upper()
                answer = self.say.get(verb) or self._answer(verb, rest, recipients)
                client.sendall(f"{answer}\r\n".encode())
                if verb == "STARTTLS" and answer.startswith("220"):
                    client = stack.enter_context(self._secured(client))
                    file = stack.enter_context(client.makefile("rb"))
                elif verb == "DATA" and answer.startswith("354"):
                    self._take(file.readline, recipients)
                    client.sendall(b"250 taken\r\n")
                    recipients = []
                elif verb == "QUIT":
                    return

    def _secured(self, client: socket.socket) -> ssl.SSLSocket:
        return self._context.wrap_socket(client, server_side=True)

    def _answer(self, verb: str, rest: str, recipients: list[str]) -> str:
        if verb == "EHLO":
            return f"250-post office\r\n250-8BITMIME\r\n250-AUTH PLAIN\r\n250 {self._tls.upper()}"
        if verb == "STARTTLS":
            return "220 go ahead"
        if verb == "AUTH":
            self.logins.append(base64.b64decode(rest.split()[1]).decode())
            return "235 welcome"
        if verb == "RCPT":
            address = rest.partition("<")[2].partition(">")[0]
            if address in self.refuse:
                return "550 nobody here"
            recipients.append(address)
        return {"DATA": "354 go on", "QUIT": "221 bye"}.get(verb, "250 fine")

    def _take(self, readline: Callable[[], bytes], recipients: list[str]) -> None:
        lines: list[bytes] = []
        while (line := readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        self.mail.append((list(recipients), message_from_bytes(b"".join(lines), policy=policy.default)))


@contextlib.contextmanager
def open_office(folder: Path, tls: str) -> Iterator[PostOffice]:
    """A server while the block lasts; its certificate is in ``post-office.pem`` of the folder."""
    office = PostOffice(certificate(folder), tls)
    try:
        yield office
    finally:
        office.close()
