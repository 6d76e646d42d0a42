"""``colibri.toml`` on the boot partition: the daemon's configuration, and what only a whole device has.

The tables [wifi], [ssh], [device] and [update] are the device's; all others are those of docs/configuration.md.
Secrets may stand in the file; they move to the data partition and asterisks take their place (``hidden.py``).
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated, Any, Literal

import msgspec
import tomli

from probe.model.config import Config
from probe.model.errors import ConfigError

Kind = Literal["unreadable", "unknown", "value"]


class Mistake(msgspec.Struct, frozen=True):
    """Something in a file of the card that can't be used. ``where``: line or key; ``what``: in English, for experts;
    ``near``: what was probably meant."""

    file: str
    kind: Kind
    where: str
    what: str = ""
    near: str = ""


class Wifi(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Wi-Fi. An empty ``ssid``: the cable."""

    ssid: Annotated[str, msgspec.Meta(max_length=32)] = ""
    password: Annotated[str, msgspec.Meta(max_length=64)] = ""
    country: Annotated[str, msgspec.Meta(pattern="^([A-Z]{2})?$")] = ""
    hidden: bool = False


class Ssh(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Who may log in. No key: nobody, and the service is off."""

    keys: list[Annotated[str, msgspec.Meta(pattern=r"^(\S+ )?(ssh|ecdsa|sk)-\S+ [A-Za-z0-9+/=]+( [^\n]*)?$")]] = []
    user: Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_-]{0,30}$")] = "admin"


class Device(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The device on its network (RFC 1123 for the name)."""

    hostname: Annotated[str, msgspec.Meta(pattern="^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$")] = ""


class Update(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Where updates come from. Empty: none are taken."""

    url: Annotated[str, msgspec.Meta(pattern="^(https?://.+/)?$")] = ""


class Appliance(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The tables that are the device's own."""

    wifi: Wifi = Wifi()
    ssh: Ssh = Ssh()
    device: Device = Device()
    update: Update = Update()


class Settings(msgspec.Struct, frozen=True):
    """A file that was understood: the device's part, and the daemon's as plain values."""

    appliance: Appliance
    daemon: dict[str, Any]


SECRETS = (("wifi", "password"), ("mqtt", "password"), ("enrol", "code"))
"""Keys whose values are kept on the data partition only."""
_OWN = tuple(field.name for field in msgspec.structs.fields(Appliance))
_TABLES = (*_OWN, *(field.name for field in msgspec.structs.fields(Config)))


def read(data: bytes, file: str = "colibri.toml") -> dict[str, Any] | Mistake:
    """The file as plain values, or why it can't be read. A byte order mark and Windows' line ends are no mistakes."""
    text = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    try:
        return tomli.loads(text.decode())
    except UnicodeDecodeError as error:
        return Mistake(file, "unreadable", str(text.count(b"\n", 0, error.start) + 1), "not UTF-8")
    except tomli.TOMLDecodeError as error:
        line = str(error).partition("(at line ")[2].partition(",")[0]
        return Mistake(file, "unreadable", line if line.isdigit() else "", str(error))
    except (RecursionError, ValueError) as error:
        return Mistake(file, "unreadable", "", str(error))


def understand(raw: dict[str, Any], file: str = "colibri.toml") -> Settings | Mistake:
    """The settings of what :func:`read` returned. The daemon's part is checked by the daemon's own rules, elsewhere."""
    for table, content in raw.items():
        if table not in _TABLES:
            near = get_close_matches(table, _TABLES, n=1)
            return Mistake(file, "unknown", table, "", near[0] if near else "")
        if table in _OWN and isinstance(content, dict):
            known = [field.name for field in msgspec.structs.fields(type(getattr(Appliance(), table)))]
            for key in content.keys() - set(known):
                near = get_close_matches(key, known, n=1)
                return Mistake(file, "unknown", f"{table}.{key}", "", near[0] if near else "")
    try:
        appliance = msgspec.convert({key: raw[key] for key in _OWN if key in raw}, Appliance)
    except msgspec.ValidationError as error:
        what, _, at = str(error).partition(" - at `")
        return Mistake(file, "value", at.rstrip("`").removeprefix("$").lstrip("."), what)
    return Settings(appliance, {key: value for key, value in raw.items() if key not in _OWN})


def of_error(error: ConfigError, file: str = "colibri.toml") -> Mistake:
    """What the daemon's own rules found (``FILE: dotted.key: what``), as a mistake of the card's file."""
    parts = str(error).split(": ", 2)
    where, what = (parts[1], parts[2]) if len(parts) == 3 else ("", parts[-1])
    kind: Kind = "unknown" if what.startswith("there is no such option") else "value"
    near = what.partition("did you mean '")[2].rstrip("'?")
    return Mistake(file, kind, where, what, near)
