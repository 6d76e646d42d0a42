"""A device gets its name and its certificate, and the next certificate before the present one ends (docs/enrolment.md).

The key is made here and never leaves the device. The server chooses the name.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import msgspec

from probe.agent.enrol_files import EnrolFiles
from probe.agent.enrol_tls import ask, endpoint, pinned, trusting
from probe.agent.identity import TOKEN
from probe.agent.tls_dates import forgive_dates
from probe.engine.clock import synchronised as clock_is_right
from probe.model.config import EnrolConfig
from probe.model.enrol import FIRST, NAMES_OF_OTHERS, RENEW, Enrolled, First, Refusal, Renewal
from probe.model.errors import ColibriError, ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

T = TypeVar("T")

RENEW_AT = 2 / 3
"""Share of the certificate's life after which the next is asked for."""
_WORDS = {
    "bad_request": "the server did not understand the request: is it of another version?",
    "bad_code": "the code is wrong, has expired, or was used by another device: ask for a new one",
    "too_many": "too many attempts from this line",
    "too_early": "it is not time to renew the certificate yet",
    "unknown": "the server does not know this certificate: enrol again with a new code",
    "revoked": "this probe was revoked: ask its operator",
    "superseded": "this certificate was renewed from another device (a copy of the card?): enrol with a new code",
    "too_late": "the certificate ended too long ago: enrol again with a new code",
}


class RefusedError(ColibriError):
    """The server said no. ``reason``: its word; ``after``: seconds to wait, 0 where waiting is of no use."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(_WORDS[refusal.reason])
        self.refusal, self.reason, self.after = refusal, refusal.reason, refusal.after


class Enrolment:
    """One device and its server. Its methods block; they raise RefusedError, ConfigError, OSError, and ColibriError for
    an answer that is not for this device."""

    def __init__(
        self, config: EnrolConfig, files: EnrolFiles, *, wall: Callable[[], float] = time.time,
        synchronised: Callable[[], bool] = clock_is_right,
    ) -> None:  # fmt: skip
        self._config, self.files, self._wall, self._synchronised = config, files, wall, synchronised

    @property
    def server(self) -> str:
        """Whom to ask: as configured, else who enrolled us."""
        member = self.files.membership
        return self._config.server or (member.server if member is not None else "")

    def first(self) -> Enrolled:
        """Enrol with the configured code."""
        if not self._config.code:
            raise ConfigError("enrol.code", "is missing: ask the operator of the collector for one")
        endpoint(self._config.server)
        key = self.files.pending()
        body = msgspec.json.encode(First(self._config.code, _csr(key)))
        return self._take(self._config.server, FIRST, body, self._first_context(), key, "")

    def due(self) -> bool:
        """Whether it is time for the next certificate. A clock that is not synchronised can't say: then it is, and the
        server, which knows, refuses if it is too early."""
        begins, ends = self.files.validity()
        return self.blind or self._wall() >= begins + (ends - begins) * RENEW_AT

    @property
    def blind(self) -> bool:
        """Whether this device does not know what time it is."""
        return not self._synchronised()

    def renew(self) -> Enrolled:
        """Ask for the next certificate, over mutual TLS with the present one."""
        member = self.files.membership
        if member is None:
            raise ConfigError("enrol", "this device was never enrolled")
        server = self.server
        # Its own authority vouches for the server, unless the file says another.
        context = self._authority_context() or trusting(self.files.authority.read_text(), self._synchronised)
        context.load_cert_chain(self.files.identity)
        key = self.files.pending()
        body = msgspec.json.encode(Renewal(_csr(key)))
        return self._take(server, RENEW, body, context, key, member.name)

    def _first_context(self) -> ssl.SSLContext:
        own = self._authority_context()
        if own is not None:
            return own
        if self._config.fingerprint:
            return trusting(pinned(self._config.server, self._config.fingerprint), self._synchronised)
        return ssl.create_default_context()  # anybody's authorities: their dates must hold

    def _authority_context(self) -> ssl.SSLContext | None:
        if not self._config.ca:
            return None
        context = ssl.create_default_context(cafile=self._config.ca)
        forgive_dates(context, self._synchronised)
        return context

    def _take(
        self, server: str, path: str, body: bytes, context: ssl.SSLContext, key: EllipticCurvePrivateKey, name: str
    ) -> Enrolled:
        status, text = ask(server, "POST", path, body, context)
        if status != 200:
            raise RefusedError(_decoded(text, Refusal, server))
        answer = _decoded(text, Enrolled, server)
        _check(answer, key, name)
        self.files.keep(answer, server)
        return answer



def _decoded(text: bytes, kind: type[T], server: str) -> T:
    try:
        return msgspec.json.decode(text, type=kind)
    except ValueError as error:  # msgspec's are ValueErrors
        raise OSError(None, f"{server} does not answer as an enrolment server: {error}") from None


def _check(answer: Enrolled, key: EllipticCurvePrivateKey, name: str) -> None:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.x509.oid import NameOID

    try:
        certificate = x509.load_pem_x509_certificate(answer.certificate.encode())
        authority = x509.load_pem_x509_certificate(answer.authority.encode())
        certificate.verify_directly_issued_by(authority)
        (common,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise ColibriError(f"the server's certificate for us can't be used: {error}") from None
    if certificate.public_key() != key.public_key():
        raise ColibriError("the server's certificate is for another device's key")
    if common.value != answer.name or not TOKEN.fullmatch(answer.name) or answer.name in NAMES_OF_OTHERS:
        raise ColibriError(f"the server's certificate names {common.value!r}, its answer {answer.name!r}")
    if name and answer.name != name:
        raise ColibriError(f"the server would rename {name} to {answer.name}: its certificate is not taken")


def _csr(key: EllipticCurvePrivateKey) -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    request = x509.CertificateSigningRequestBuilder(x509.Name([])).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()
