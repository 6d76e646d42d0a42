"""``rpi-preseed.toml``, which Raspberry Pi Imager 2 writes onto the card from its own dialogue (``init_format``
``rpi-preseed``): host name, user, SSH keys, Wi-Fi. What ``colibri.toml`` says goes first.

Passwords for people are not taken: one logs in by key alone. Keyboard and time zone mean nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FILE = "rpi-preseed.toml"
SECRETS = (("wlan", "password"), ("user", "password"))


def appliance_tables(raw: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The tables of ``colibri.toml`` that say the same. Values of odd types are left out: the file is a program's."""

    def text(table: str, key: str) -> str:
        inner = raw.get(table)
        value = inner.get(key) if isinstance(inner, Mapping) else None
        return value if isinstance(value, str) else ""

    tables: dict[str, dict[str, Any]] = {}
    if hostname := text("system", "hostname").lower():
        tables["device"] = {"hostname": hostname}
    ssid = text("wlan", "ssid")
    if not ssid and (coded := text("wlan", "ssid_hex")):
        try:
            ssid = bytes.fromhex(coded).decode()
        except ValueError:  # a name that is no text: wpa_supplicant would take it, our file can't say it
            ssid = ""
    if ssid:
        wifi: dict[str, Any] = {"ssid": ssid}
        for key in ("password", "country"):
            if value := text("wlan", key):
                wifi[key] = value
        inner = raw["wlan"]
        wifi["hidden"] = inner.get("hidden") is True
        tables["wifi"] = wifi
    ssh = raw.get("ssh")
    keys = ssh.get("authorized_keys") if isinstance(ssh, Mapping) and ssh.get("enabled") is not False else None
    if isinstance(keys, list) and (given := [key.strip() for key in keys if isinstance(key, str) and key.strip()]):
        tables["ssh"] = {"keys": given}
        if user := text("user", "name"):
            tables["ssh"]["user"] = user
    return tables


def wants_password(raw: Mapping[str, Any]) -> bool:
    """Whether somebody will try to log in with a password, and should be told why that fails."""
    ssh = raw.get("ssh")
    return isinstance(ssh, Mapping) and ssh.get("password_authentication") is True


def under(own: Mapping[str, Any], other: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """``own`` with those tables of ``other`` of which it says nothing (an empty value says nothing)."""
    merged = dict(own)
    for table, content in other.items():
        said = merged.get(table)
        if said is None or (isinstance(said, Mapping) and not any(said.values())):
            merged[table] = dict(content)
    return merged
