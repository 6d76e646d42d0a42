"""Secrets from files: never in the configuration, never in a log."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

from probe.model.errors import ConfigError

_LEAST, _MOST = 24, 64
_PREFIX = "whsec_"


def first_line(path: str, where: str) -> str:
    """The first line of a file, without white space around it. Raises ConfigError, naming the option ``where``."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise ConfigError(where, f"{path}: {reason}") from None
    line = text.partition("\n")[0].strip()
    if not line:
        raise ConfigError(where, f"{path}: its first line is empty")
    return line


def webhook_key(path: str, where: str) -> bytes:
    """The key of a webhook: ``whsec_`` and 24 to 64 bytes in base64 (Standard Webhooks 1.0). Raises ConfigError."""
    line = first_line(path, where)
    try:
        key = base64.b64decode(line.removeprefix(_PREFIX), validate=True) if line.startswith(_PREFIX) else b""
    except (binascii.Error, ValueError):
        key = b""
    if not _LEAST <= len(key) <= _MOST:
        raise ConfigError(where, f"{path}: is not {_PREFIX} followed by {_LEAST} to {_MOST} bytes in base64")
    return key
