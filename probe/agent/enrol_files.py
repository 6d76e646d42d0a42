"""What enrolment leaves on the device, below ``enrol/`` in the state folder.

``identity.pem``: certificate and private key in one file, so that a power cut never leaves one without the other;
``authority.pem``: who vouches for broker and enrolment server; ``enrolled.json``: name, server and broker;
``pending.pem``: the key that was last asked a certificate for: the same one is asked for until the answer comes.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from probe.agent.files import write_whole
from probe.model.config import Config, TlsConfig
from probe.model.enrol import Broker, Enrolled
from probe.model.errors import ConfigError
from probe.model.finding import Token

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

log = logging.getLogger(__name__)


class Membership(msgspec.Struct, frozen=True):
    """``enrolled.json``. ``begins``, ``ends``: of the certificate, seconds since the epoch, so that nobody has to load
    what reads certificates (3 MB) to know whether it is time to renew; 0.0: look into it."""

    name: Token
    server: str
    broker: Broker | None = None
    begins: float = 0.0
    ends: float = 0.0


class EnrolFiles:
    """The files of one device. Its methods raise OSError, and ConfigError for a file that is not what it should be."""

    def __init__(self, state_dir: str | Path) -> None:
        self._folder = Path(state_dir) / "enrol"
        self.identity, self.authority = self._folder / "identity.pem", self._folder / "authority.pem"
        self._membership, self._pending = self._folder / "enrolled.json", self._folder / "pending.pem"

    @property
    def membership(self) -> Membership | None:
        """Who this device is since it was enrolled; None before."""
        if not self.identity.exists():
            return None
        try:
            return msgspec.json.decode(self._membership.read_bytes(), type=Membership)
        except (FileNotFoundError, msgspec.DecodeError) as error:
            raise ConfigError(str(self._membership), f"can't be read ({error}); enrol again") from None

    def validity(self) -> tuple[float, float]:
        """Beginning and end of the certificate, seconds since the epoch."""
        member = self.membership
        if member is not None and member.ends:
            return member.begins, member.ends
        return dates(self.identity.read_bytes(), str(self.identity))

    def pending(self) -> EllipticCurvePrivateKey:
        """The key that a certificate is asked for; made on the device, kept until the certificate has come."""
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        try:
            loaded = serialization.load_pem_private_key(self._pending.read_bytes(), password=None)
            if isinstance(loaded, ec.EllipticCurvePrivateKey):
                return loaded
        except FileNotFoundError:
            pass
        except (ValueError, TypeError):
            log.warning("%s can't be read: another key is made", self._pending)
        key = ec.generate_private_key(ec.SECP256R1())
        pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        self._write(self._pending, key.private_bytes(pem, pkcs8, serialization.NoEncryption()), 0o600)
        return key

    def keep(self, answer: Enrolled, server: str) -> None:
        """Put a certificate for the pending key in force."""
        begins, ends = dates(answer.certificate.encode(), "the certificate")
        self._write(self.authority, answer.authority.encode(), 0o644)
        member = Membership(answer.name, server, answer.broker, begins, ends)
        self._write(self._membership, msgspec.json.encode(member), 0o644)
        self._write(self.identity, answer.certificate.encode() + self._pending.read_bytes(), 0o600)
        self._pending.unlink()

    def _write(self, path: Path, data: bytes, mode: int) -> None:
        write_whole(path, data, mode)
        if os.geteuid() == 0:  # a person with root enrols; the daemon, who has none, must be able to read it
            owner = self._folder.parent.stat()
            for one in (self._folder, path):
                os.chown(one, owner.st_uid, owner.st_gid)


def dates(pem: bytes, where: str) -> tuple[float, float]:
    """Beginning and end of a certificate (PEM), seconds since the epoch. Raises ConfigError, with ``where``."""
    from cryptography import x509

    try:
        certificate = x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise ConfigError(where, f"can't be read ({error}); enrol again") from None
    return certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()


def applied(config: Config) -> Config:
    """The configuration with what enrolment has brought: name, certificate, broker. Certificates of its own win.

    Raises ConfigError.
    """
    files = EnrolFiles(config.probe.state_dir)
    try:
        member = files.membership
    except PermissionError:
        return config  # a person without rights asks what is configured
    if member is None or (config.mqtt.tls is not None and config.mqtt.tls.certificate):
        return config
    if config.probe.id and config.probe.id != member.name:
        log.warning("probe.id %r is not used: this device was enrolled as %r", config.probe.id, member.name)
    host, port = config.mqtt.host, config.mqtt.port
    if not host and member.broker is not None:
        host, port = member.broker.host, member.broker.port
    tls = TlsConfig(ca=str(files.authority), certificate=str(files.identity))
    return msgspec.structs.replace(
        config,
        probe=msgspec.structs.replace(config.probe, id=member.name),
        mqtt=msgspec.structs.replace(config.mqtt, host=host, port=port, tls=tls, username=""),
    )
