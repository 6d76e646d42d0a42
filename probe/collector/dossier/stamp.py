"""Time stamps (RFC 3161): an authority signs the hash of a manifest with the time at which it saw it. Only the hash,
and a number that is made for it, leave."""

from __future__ import annotations

import contextlib
import hashlib
import re
import ssl
import urllib.error
import urllib.request
import warnings
from collections.abc import Mapping
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from probe import __version__
from probe.collector.dossier.der import in_order
from probe.collector.dossier.manifest import MANIFEST
from probe.model.errors import ColibriError, MalformedRecord, Unanswered, UsageError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

REQUEST, RESPONSE = f"{MANIFEST}.tsq", f"{MANIFEST}.tsr"
"""What was asked, and the answer, as they went (DER)."""

SECONDS = 30.0
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_MOST = 256 * 1024  # bytes of an answer: a token with its chain has five thousand
_NEEDS = "time stamps need rfc3161-client: pip install 'colibri-probe[dossier]'"


class Stamped(msgspec.Struct, frozen=True):
    """When the authority saw the manifest (RFC 3339, UTC), and who it says it is."""

    at: str
    authority: str


def ask(url: str, manifest: bytes) -> list[tuple[str, bytes]]:
    """Have a manifest stamped: request and answer, as files.

    Raises UsageError for an address that is none, Unanswered where no token comes back that fits, ColibriError without
    the library.
    """
    try:
        import rfc3161_client as tsp
    except ImportError as error:
        raise ColibriError(_NEEDS) from error
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise UsageError(f"--timestamp: {url!r} is no http or https address")
    builder = tsp.TimestampRequestBuilder().data(manifest).hash_algorithm(tsp.HashAlgorithm.SHA256)
    request = builder.nonce(nonce=True).cert_request(cert_request=True).build()
    answer = _post(url, request.as_bytes())
    try:
        response = tsp.decode_timestamp_response(in_order(answer))
        if response.status not in (tsp.PKIStatus.GRANTED, tsp.PKIStatus.GRANTED_WITH_MODS):
            said = "; ".join(response.status_string)
            raise Unanswered(url, f"refused the time stamp (status {response.status}{f': {said}' if said else ''})")
        info = response.tst_info
        fits = info.message_imprint.message == hashlib.sha256(manifest).digest() and info.nonce == request.nonce
    except (ValueError, MalformedRecord) as error:
        raise Unanswered(url, f"no time stamp (RFC 3161) in the answer: {error}") from None
    if not fits:
        raise Unanswered(url, "the time stamp is of something else than was asked")
    return [(REQUEST, request.as_bytes()), (RESPONSE, answer)]


def verify(files: Mapping[str, bytes], trust: bytes | None = None) -> Stamped:
    """Who stamped a dossier's manifest, and when. ``trust``: certificates (PEM) of authorities that are believed; None:
    those of this system.

    Raises MalformedRecord for a stamp that is broken, of something else, or of nobody who is trusted; ColibriError
    without the library, or without an authority to trust.
    """
    try:
        import rfc3161_client as tsp
        from cryptography import x509
        from cryptography.exceptions import UnsupportedAlgorithm
    except ImportError as error:
        raise ColibriError(_NEEDS) from error
    roots = _roots(trust)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of enclosed certificates that break rules and that nobody believes
            response = tsp.decode_timestamp_response(in_order(files[RESPONSE]))
            builder = tsp.VerifierBuilder(roots=roots)
            builder.build().verify_message(response, files[MANIFEST])
            at = response.tst_info.gen_time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
            signers = {(one.issuer, one.serial_number) for one in response.signed_data.signer_infos}
            own = [x509.load_der_x509_certificate(one) for one in response.signed_data.certificates]
            # Names are read only now: an enclosed certificate that is none shows here.
            named = [one.subject.rfc4514_string() for one in own if (one.issuer, one.serial_number) in signers]
    except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm, tsp.VerificationError, MalformedRecord) as error:
        raise MalformedRecord(RESPONSE, f"the time stamp does not hold: {' '.join(str(error).split())}") from None
    return Stamped(at, named[0] if named else "")


def _roots(trust: bytes | None) -> list[Certificate]:
    from cryptography import x509

    if trust is None:
        file = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
        try:
            trust = Path(file).read_bytes()
        except OSError as error:
            raise ColibriError(f"{file}: {error.strerror} (--trust FILE names authorities to believe)") from None
    found: list[Certificate] = []
    for pem in _PEM.findall(trust):
        # A system's list holds old authorities that break today's rules: one of them must not hide the others.
        with warnings.catch_warnings(), contextlib.suppress(ValueError):
            warnings.simplefilter("ignore")
            found.append(x509.load_pem_x509_certificate(pem))
    if not found:
        raise UsageError("--trust: no certificate (PEM) can be read there")
    return found


def _post(url: str, body: bytes) -> bytes:
    headers = {"Content-Type": "application/timestamp-query", "User-Agent": f"colibri/{__version__}"}
    try:
        with urllib.request.urlopen(  # noqa: S310 - http or https, checked by the caller
            urllib.request.Request(url, body, headers), timeout=SECONDS  # noqa: S310
        ) as answer:
            data: bytes = answer.read(_MOST + 1)
    except urllib.error.HTTPError as error:
        with error:
            raise Unanswered(url, f"answered with status {error.code}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise Unanswered(url, f"gave no time stamp: {reason}") from None
    if len(data) > _MOST:
        raise Unanswered(url, f"answered with more than {_MOST} bytes")
    return data
