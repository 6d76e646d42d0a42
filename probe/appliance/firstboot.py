"""At every start, before the network: the files on the boot partition become the system's settings.

Files that are wrong change nothing: the last correct settings stay in force, and ``COLIBRI-STATUS.txt`` says what to
mend. Runs without privileges but root's own files; what needs more (host name, accounts, services) is done by
``/usr/lib/colibri/apply``, which goes by the files that are left in ``run``.
"""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path
from typing import Any

import msgspec

from probe.agent import page_code
from probe.agent.config import load, load_targets
from probe.agent.files import write_whole
from probe.appliance import hidden, preseed, settings, toml, wifi
from probe.appliance.places import Places, give, let_read, publish
from probe.appliance.report import FILE as REPORT
from probe.appliance.report import Report, render
from probe.appliance.settings import Appliance, Mistake, Settings
from probe.appliance.slots import Slots, running
from probe.model.errors import ConfigError

FILE = "colibri.toml"
DAEMON, UPDATER = "colibri", "colibri-update"
HOSTNAME = "colibri"
LONGEST = 1 << 20
"""Bytes of a file of the card that are read at most."""


def run(places: Places, command_line: str = "") -> Report:
    """All of it. Returns what was reported. Raises OSError where not even memory can be written."""
    _folders(places)
    mistakes, notes, found = _read(places)
    former = False
    if found is not None and not mistakes:
        mistakes = _put_in_force(places, found)
    if mistakes or found is None:  # a card whose file was deleted goes on as before
        former = _former(places)
    current = _appliance(places) or Appliance()
    hostname = current.device.hostname or HOSTNAME
    _names(places, hostname)
    _access(places, current)
    notes += _marks(places, command_line)
    if mistakes or "data_none" in notes:
        (places.run / "mistake").touch()  # what the light is to say
    report = Report(places.version, hostname, mistakes, former, notes)
    _tell(places, render(msgspec.structs.replace(report, code=_page_code(places))))
    # The home's page shows this while no daemon runs, to whoever asks: without the code.
    publish(places.run / REPORT, render(report).decode())
    return report


def _page_code(places: Places) -> str:
    """The code of the home's page: made once, kept with the data, told on the card; where the daemon may read it."""
    try:
        code = page_code.code(places.data / page_code.FILE)
        path = places.etc / "colibri" / page_code.FILE
        path.write_text(f"{code}\n")
        let_read(path, DAEMON)
    except OSError:  # then the daemon makes its own, and nobody is told a code that does not hold
        return ""
    return code


def _folders(places: Places) -> None:
    for name, owner, mode in (
        ("colibri", DAEMON, 0o750), ("update", UPDATER, 0o755), ("ssh", "root", 0o700), ("secrets", "root", 0o700),
        ("settings", "root", 0o700), ("rauc", "root", 0o755), ("log", "root", 0o750),
    ):  # fmt: skip
        folder = places.data / name
        folder.mkdir(parents=True, exist_ok=True)
        give(folder, owner, mode)
    for folder in (places.etc / "colibri", places.run):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)


def _read(places: Places) -> tuple[list[Mistake], list[str], Settings | None]:
    """Mistakes, notes, and the settings of the card where it has any. Secrets move, once they are safe."""
    own, own_data = _load(places.card / FILE)
    other, other_data = _load(places.card / preseed.FILE)
    if isinstance(own, Mistake):
        return [own], [], None
    if own is None and other is None:
        return [], [], None
    notes = ["password"] if isinstance(other, dict) and preseed.wants_password(other) else []
    kept = hidden.Kept(places.data / "secrets")
    raw = own or {}
    if isinstance(other, dict):
        held = kept.exchange(other, preseed.SECRETS[:1])
        for (table, key), value in held.items():
            other[table][key] = value
        raw = preseed.under(raw, preseed.appliance_tables(other))
    held = kept.exchange(raw, settings.SECRETS)
    for (table, key), value in held.items():
        raw[table] = {**raw[table], key: value}
    # In place, now that they are on the data partition.
    with contextlib.suppress(OSError):
        hidden.overwrite(places.card / FILE, own_data, hidden.masked(own_data, settings.SECRETS))
        hidden.overwrite(places.card / preseed.FILE, other_data, hidden.masked(other_data, preseed.SECRETS))
    understood = settings.understand(raw)
    if isinstance(understood, Mistake):
        return [understood], notes, None
    mistakes = [other] if isinstance(other, Mistake) else []
    return mistakes, notes, understood


def _load(path: Path) -> tuple[dict[str, Any] | Mistake | None, bytes]:
    try:
        with path.open("rb") as file:
            data = file.read(LONGEST)
    except FileNotFoundError:
        return None, b""
    except OSError as error:
        return Mistake(path.name, "unreadable", "", error.strerror or str(error)), b""
    return settings.read(data, path.name), data


def _put_in_force(places: Places, found: Settings) -> list[Mistake]:
    """Check the daemon's part by the daemon's rules; keep all of it if it is right, else say what is wrong."""
    document = {table: dict(content) if isinstance(content, dict) else content
                for table, content in found.daemon.items()}  # fmt: skip
    document.setdefault("probe", {}).setdefault("state_dir", str(places.data / "colibri"))
    etc = places.etc / "colibri"
    mqtt = document.get("mqtt", {})
    if password := mqtt.pop("password", "") if isinstance(mqtt, dict) else "":
        mqtt["password_file"] = "mqtt-password"  # noqa: S105 - a file's name
    targets, listed = places.card / "targets.toml", etc / "targets.toml"
    own_list = targets.read_bytes() if targets.is_file() else b""
    if own_list:
        document.setdefault("targets", {}).setdefault("files", [listed.name])
        listed.write_bytes(own_list)
    candidate = etc / "candidate.toml"
    try:
        candidate.write_text(toml.dump(document))
        candidate.chmod(0o600)
        load_targets(load(candidate))
        wifi.configuration(found.appliance.wifi)
    except ConfigError as error:
        return [settings.of_error(error, "targets.toml" if listed.name in str(error) else FILE)]
    except (TypeError, ValueError) as error:
        return [Mistake(FILE, "value", "wifi.password" if "Wi-Fi" in str(error) else "", str(error))]
    finally:
        candidate.unlink(missing_ok=True)
    folder = places.data / "settings"
    _keep(folder / "colibri.toml", toml.dump(document).encode())
    _keep(folder / "targets.toml", own_list)
    _keep(folder / "mqtt-password", password.encode())
    _keep(folder / "appliance.json", msgspec.json.encode(found.appliance))
    _former(places)
    return []


def _keep(path: Path, data: bytes) -> None:
    """Write only what is new: each write wears the card."""
    if not path.exists() or path.read_bytes() != data:
        write_whole(path, data, mode=0o600)


def _former(places: Places) -> bool:
    """Put the settings that were kept into force; whether there were any."""
    folder, etc = places.data / "settings", places.etc / "colibri"
    for name in ("colibri.toml", "targets.toml", "mqtt-password"):
        if (folder / name).exists():
            write_whole(etc / name, (folder / name).read_bytes(), mode=0o600)
            let_read(etc / name, DAEMON)
    if not (folder / "colibri.toml").exists():
        publish(etc / "colibri.toml", toml.dump({"probe": {"state_dir": str(places.data / "colibri")}}))
        return False
    return True


def _appliance(places: Places) -> Appliance | None:
    try:
        return msgspec.json.decode((places.data / "settings/appliance.json").read_bytes(), type=Appliance)
    except (OSError, msgspec.DecodeError):
        return None


def _names(places: Places, hostname: str) -> None:
    _keep(places.data / "hostname", f"{hostname}\n".encode())
    publish(places.etc / "hostname", f"{hostname}\n")
    publish(places.etc / "hosts", f"127.0.0.1 localhost\n::1 localhost\n127.0.1.1 {hostname}\n")


def _host_key(folder: Path) -> None:
    """The device's own SSH key, made once. ssh-keygen waits for no card: what a power cut left of a key, which sshd
    would refuse for ever, is made anew, and a key counts only once it is whole on the card."""
    key, made = folder / "ssh_host_ed25519_key", folder / "made"
    if key.exists() and key.stat().st_size:
        return
    for old in (key, made):
        for path in (old, old.with_name(f"{old.name}.pub")):
            path.unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", made], check=True)
    public, private = made.with_name("made.pub").read_bytes(), made.read_bytes()
    write_whole(key.with_name(f"{key.name}.pub"), public)
    write_whole(key, private, mode=0o600)
    for path in (made, made.with_name("made.pub")):
        path.unlink()


def _access(places: Places, current: Appliance) -> None:
    """SSH and Wi-Fi, as files; whether they are to start is told by a file in ``run``."""
    _host_key(places.data / "ssh")
    if current.ssh.keys:
        authorized = places.etc / "ssh/authorized_keys"
        authorized.parent.mkdir(exist_ok=True)
        publish(authorized, "".join(f"{key}\n" for key in current.ssh.keys))
        user = current.ssh.user
        groups = "".join(f"m {user} {group}\n" for group in (DAEMON, "colibri-admin", "systemd-journal"))
        (places.run / "ssh.sysusers").write_text(f'u {user} - "Colibri" /home/{user} /bin/bash\n{groups}')
        (places.run / "ssh.tmpfiles").write_text(f"d /home/{user} 0750 {user} {user}\n")
    if current.wifi.ssid:
        folder = places.etc / "wpa_supplicant"
        folder.mkdir(exist_ok=True)
        path = folder / "wpa_supplicant-wlan0.conf"
        path.write_text(wifi.configuration(current.wifi))
        path.chmod(0o600)
        (places.run / "wifi").touch()
    if current.update.url:
        publish(places.etc / "colibri/update-url", f"{current.update.url}\n")


def _marks(places: Places, command_line: str) -> list[str]:
    notes = []
    if (places.marks / "data-lost").exists():
        notes.append("data_lost")
    if (places.marks / "data-none").exists():
        notes.append("data_none")
    with contextlib.suppress(OSError, ConfigError):
        if Slots(places.card, running(command_line)).failed():
            notes.append("rolled_back")
    return notes


def _tell(places: Places, text: bytes) -> None:
    """Onto the card, in place; a card that can't be written is told of nowhere else than in the journal."""
    path = places.card / REPORT
    try:
        before = path.read_bytes()
        if len(before) == len(text):
            hidden.overwrite(path, before, text)
        else:
            write_whole(path, text)
    except FileNotFoundError:
        with contextlib.suppress(OSError):
            write_whole(path, text)
    except OSError:
        return
