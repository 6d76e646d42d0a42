"""The operator's side of target lists: a folder of TUF metadata, signed with keys that are kept offline.

Root and targets take ``threshold`` of the signers' signatures, each given on its own machine if need be: a draft is
staged, passed round, and published once it has enough. Snapshot and timestamp are signed by one key that may be online:
it can say which list is the newest, and not what is in it.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from probe.agent.files import write_whole
from probe.agent.findings import instant
from probe.agent.lists import MOST, NAME
from probe.agent.lists_child import SIGNED_AT
from probe.model.errors import ConfigError, UsageError
from probe.model.request import Bundle

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from securesystemslib.signer import SSlibKey
    from tuf.api.metadata import Metadata

_ROOT_DAYS = 730


def make_key(path: Path) -> str:
    """A new Ed25519 key in a file (PEM, its owner's alone); its public half in base64. Raises OSError, UsageError."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if path.exists():
        raise UsageError(f"{path} is there already: a key is never written over")
    key = Ed25519PrivateKey.generate()
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    write_whole(path, key.private_bytes(pem, pkcs8, serialization.NoEncryption()), 0o600)
    return public_text(key)


def read_key(path: Path) -> Ed25519PrivateKey:
    """The key of a file. Raises ConfigError, OSError."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        loaded = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError):
        loaded = None
    if not isinstance(loaded, Ed25519PrivateKey):
        raise ConfigError(str(path), "is not an Ed25519 key (colibri lists key)")
    return loaded


def public_text(key: Ed25519PrivateKey) -> str:
    """The public half, in base64."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


class Repository:
    """A folder: ``metadata/`` what was published, ``staged/`` what waits for signatures, ``bundle.json``.

    ``now``: seconds since the epoch. Methods raise UsageError for what can't be done yet, ConfigError for a file that
    can't be read, OSError.
    """

    def __init__(self, folder: Path, now: float) -> None:
        self._metadata, self._staged, self.bundle = folder / "metadata", folder / "staged", folder / "bundle.json"
        self.root, self._list = folder / "root.json", folder / NAME
        self._now = now

    def init(self, signers: Sequence[str], threshold: int, online: str) -> None:
        """Begin: stage a root with these public keys (base64). It takes ``threshold`` of them to sign it."""
        from tuf.api.metadata import Metadata, Root

        if self.root.exists() or self._staged.exists():
            raise UsageError(f"{self.root.parent} holds a repository already")
        if not 1 <= threshold <= len(set(signers)) or online in signers:
            raise UsageError("the threshold is 1 to the number of signers, and the online key is none of theirs")
        root = Root(version=1, expires=self._in(_ROOT_DAYS), consistent_snapshot=True)
        for text in dict.fromkeys(signers):
            for role in ("root", "targets"):
                root.add_key(_key(text), role)
        for role in ("snapshot", "timestamp"):
            root.add_key(_key(online), role)
        root.roles["root"].threshold = root.roles["targets"].threshold = threshold
        self._stage("root", Metadata(root))

    def stage(self, path: Path, days: float) -> int:
        """Stage a list, good for so many days; its version. What it says is checked where it is accepted."""
        from tuf.api.metadata import Metadata, TargetFile, Targets

        if not 0 < days <= 366:
            raise UsageError("a list is good for a year at most")
        data = path.read_bytes()
        newest = self._newest("targets")
        version = newest.signed.version + 1 if newest is not None else 1
        targets = Targets(version=version, expires=self._in(days))
        targets.targets[NAME] = TargetFile.from_data(NAME, data)
        self._stage("targets", Metadata(targets))
        write_whole(self._staged / NAME, data)
        return version

    def sign(self, key: Ed25519PrivateKey) -> list[str]:
        """Add this key's signature to all that is staged and asks for it; how many each has, of how many it needs."""
        from securesystemslib.signer import CryptoSigner

        signed: list[str] = []
        root = self._root()
        for role in ("root", "targets"):
            draft = self._draft(role)
            if draft is None:
                continue
            needed = root.signed.roles[role]
            public = _key(public_text(key))
            if public.keyid not in needed.keyids:
                raise UsageError("this key is none of the signers'")
            draft.sign(CryptoSigner(key, public), append=True)
            self._stage(role, draft)
            signed.append(f"{role} {draft.signed.version}: {len(draft.signatures)} of {needed.threshold} signatures")
        if not signed:
            raise UsageError("nothing is staged")
        return signed

    def publish(self, online: Ed25519PrivateKey, days: float) -> Bundle:
        """Put what is staged in force and say, for so many days, that it is the newest. Writes ``bundle.json``."""
        from securesystemslib.signer import CryptoSigner
        from tuf.api.exceptions import UnsignedMetadataError
        from tuf.api.metadata import Metadata, MetaFile, Snapshot, Timestamp

        root, targets = self._root(), self._draft("targets") or self._newest("targets")
        if targets is None:
            raise UsageError("no list was staged yet")
        try:
            for role, metadata in (("root", root), ("targets", targets)):
                root.signed.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
        except UnsignedMetadataError as error:
            raise UsageError(f"not enough signatures yet: {error}") from None
        signer = CryptoSigner(online, _key(public_text(online)))
        if signer.public_key.keyid not in root.signed.roles["timestamp"].keyids:
            raise UsageError("this is not the online key that the root names")
        before = self._newest("timestamp")
        version = before.signed.version + 1 if before is not None else 1
        snapshot = Metadata(Snapshot(version=version, expires=self._in(days)))
        snapshot.signed.meta["targets.json"] = MetaFile(targets.signed.version)
        snapshot.sign(signer)
        timestamp = Metadata(Timestamp(version=version, expires=self._in(days)))
        timestamp.signed.snapshot_meta = MetaFile(version)
        timestamp.signed.unrecognized_fields[SIGNED_AT] = instant(self._now)
        timestamp.sign(signer)
        data = (self._staged / NAME if self._draft("targets") is not None else self._list).read_bytes()
        bundle = self._bundle(root, targets, snapshot, timestamp, data)
        write_whole(self._list, data)
        for role, metadata in (("root", root), ("targets", targets), ("timestamp", timestamp)):
            self._keep(role, metadata)
        write_whole(self.bundle, bundle_bytes(bundle))
        for file in self._staged.glob("*"):
            file.unlink()
        return bundle

    def _bundle(
        self, root: Metadata[Any], targets: Metadata[Any], snapshot: Metadata[Any], timestamp: Metadata[Any],
        data: bytes,
    ) -> Bundle:  # fmt: skip
        digest = next(iter(targets.signed.targets[NAME].hashes.values()))
        files = {path.name: path.read_text() for path in self._metadata.glob("*.root.json")}
        files |= {
            f"{root.signed.version}.root.json": _text(root),
            f"{targets.signed.version}.targets.json": _text(targets),
            f"{snapshot.signed.version}.snapshot.json": _text(snapshot),
            "timestamp.json": _text(timestamp),
            f"{digest}.{NAME}": data.decode(),
        }
        bundle = Bundle("colibri.lists/1", files)
        if len(bundle_bytes(bundle)) > MOST:
            raise UsageError(f"the bundle has {len(bundle_bytes(bundle))} bytes, and {MOST} are the most")
        return bundle

    def _root(self) -> Metadata[Any]:
        found = self._draft("root") or self._newest("root")
        if found is None:
            raise UsageError("there is no root yet: colibri lists init")
        return found

    def _draft(self, role: str) -> Metadata[Any] | None:
        return _read(self._staged / f"{role}.json")

    def _newest(self, role: str) -> Metadata[Any] | None:
        return _read(self._metadata / f"{role}.json")

    def _stage(self, role: str, metadata: Metadata[Any]) -> None:
        write_whole(self._staged / f"{role}.json", _text(metadata).encode())

    def _keep(self, role: str, metadata: Metadata[Any]) -> None:
        write_whole(self._metadata / f"{role}.json", _text(metadata).encode())
        if role == "root":
            write_whole(self._metadata / f"{metadata.signed.version}.root.json", _text(metadata).encode())
            if not self.root.exists():  # what probes are given; later roots are reached from it
                write_whole(self.root, _text(metadata).encode())

    def _in(self, days: float) -> dt.datetime:
        return dt.datetime.fromtimestamp(self._now + days * 86400, dt.UTC).replace(microsecond=0)


def bundle_bytes(bundle: Bundle) -> bytes:
    """As it goes over the feed."""
    return msgspec.json.encode(bundle)


def _key(text: str) -> SSlibKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from securesystemslib.signer import SSlibKey

    try:
        return SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True)))
    except (binascii.Error, ValueError):
        raise UsageError(f"{text!r} is not an Ed25519 public key (32 bytes in base64)") from None


def _text(metadata: Metadata[Any]) -> str:
    from tuf.api.serialization.json import JSONSerializer

    return metadata.to_bytes(JSONSerializer(compact=True)).decode()


def _read(path: Path) -> Metadata[Any] | None:
    from tuf.api.metadata import Metadata
    from tuf.api.serialization import DeserializationError

    if not path.exists():
        return None
    try:
        return Metadata.from_bytes(path.read_bytes())
    except DeserializationError as error:
        raise ConfigError(str(path), f"is no metadata: {error}") from None
