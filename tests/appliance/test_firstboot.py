"""From the files on a card to a system's settings; mistakes change nothing that worked."""

from __future__ import annotations

import os
import subprocess
import tomllib
from pathlib import Path

import pytest

from probe.agent.config import load
from probe.appliance.firstboot import run
from probe.appliance.places import Places
from probe.appliance.report import SIZE, render

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0exampleexampleexampleexampleexample test"
GOOD = f"""
[mqtt]
host = "192.0.2.1"
password = "feed-secret"
[enrol]
server = "https://192.0.2.1:8444"
code = "ABCD-EFGH"
[wifi]
ssid = "Livebox"
password = "wifi-secret"
[ssh]
keys = ["{KEY}"]
[device]
hostname = "sonde-7"
[update]
url = "http://192.0.2.1/update/"
"""
SECRETS = ("feed-secret", "ABCD-EFGH", "wifi-secret")


@pytest.fixture
def places(tmp_path: Path) -> Places:
    names = ("card", "data", "etc", "run", "release", "marks")
    made = Places(**{name: tmp_path / name for name in names})
    for name in ("card", "etc", "release", "marks"):
        (tmp_path / name).mkdir()
    (made.release / "version").write_text("0.1.7\n")
    (made.card / "COLIBRI-STATUS.txt").write_bytes(render(None))
    return made


def status(places: Places) -> str:
    data = (places.card / "COLIBRI-STATUS.txt").read_bytes()
    assert len(data) == SIZE
    return data.decode("utf-8-sig")


def test_a_good_card(places: Places) -> None:
    (places.card / "colibri.toml").write_text(GOOD)
    report = run(places)
    assert (report.mistakes, report.hostname) == ([], "sonde-7")
    assert "Le fichier colibri.toml est correct." in status(places)
    config = load(places.etc / "colibri/colibri.toml")
    assert (config.mqtt.host, config.enrol.code) == ("192.0.2.1", "ABCD-EFGH")
    assert Path(config.mqtt.password_file).read_text() == "feed-secret"
    assert config.probe.state_dir == str(places.data / "colibri")
    assert (places.etc / "hostname").read_text() == "sonde-7\n"
    assert (places.etc / "ssh/authorized_keys").read_text() == f"{KEY}\n"
    assert "m admin colibri-admin" in (places.run / "ssh.sysusers").read_text()
    assert 'psk="wifi-secret"' in (places.etc / "wpa_supplicant/wpa_supplicant-wlan0.conf").read_text()
    assert (places.etc / "colibri/update-url").read_text() == "http://192.0.2.1/update/\n"


def test_secrets_leave_the_card_and_hold_at_the_next_start(places: Places) -> None:
    card = places.card / "colibri.toml"
    card.write_text(GOOD)
    run(places)
    first = (places.etc / "colibri/colibri.toml").read_text()
    left = card.read_text()
    assert not any(secret in left for secret in SECRETS)
    assert tomllib.loads(left)["wifi"] == {"ssid": "Livebox", "password": "***********"}
    assert run(places).mistakes == []
    assert (places.etc / "colibri/colibri.toml").read_text() == first
    assert card.read_text() == left


def test_a_mistake_leaves_the_former_settings_in_force(places: Places) -> None:
    card = places.card / "colibri.toml"
    card.write_text(GOOD)
    run(places)
    before = (places.etc / "colibri/colibri.toml").read_text()
    (places.etc / "colibri/colibri.toml").unlink()  # the root is memory: gone at the next start
    card.write_text(GOOD.replace('ssid = "Livebox"', "ssid = Livebox"))
    report = run(places)
    assert report.former
    assert report.mistakes[0].where == "9"
    assert "ligne 9" in status(places)
    assert (places.etc / "colibri/colibri.toml").read_text() == before
    assert (places.etc / "ssh/authorized_keys").exists()


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[mqtt]\nhst = 'x'", "mqtt.hst"), ("[safety]\nallow_networks = ['x']", "safety.allow_networks[0]"),
        ("[line]\ncountry = 'Maroc'", "line.country"), ("[wifi]\nssid = 'x'\npassword = 'kurz'", "wifi.password"),
    ],
)  # fmt: skip
def test_mistakes_of_the_daemon_s_part_are_placed_too(places: Places, text: str, where: str) -> None:
    (places.card / "colibri.toml").write_text(text)
    report = run(places)
    assert [one.where for one in report.mistakes] == [where]
    assert not report.former
    assert where in status(places)
    assert load(places.etc / "colibri/colibri.toml").probe.state_dir, "a daemon that starts, at least"


def test_a_list_on_the_card_is_measured(places: Places) -> None:
    (places.card / "colibri.toml").write_text("[line]\ncountry = 'MA'\n")
    targets = places.card / "targets.toml"
    targets.write_text("[[targets]]\ntarget = 'news.example'\nmeasurements = ['dns_injection']\n")
    assert run(places).mistakes == []
    assert load(places.etc / "colibri/colibri.toml").targets.files == [str(places.etc / "colibri/targets.toml")]
    targets.write_text("[[targets]]\ntarget = 'news.example'\nmeasurements = ['dns_injektion']\n")
    assert run(places).mistakes[0].file == "targets.toml"


def test_imager_s_settings_and_what_becomes_of_its_passwords(places: Places) -> None:
    preseed = places.card / "rpi-preseed.toml"
    preseed.write_text(
        f'[system]\nhostname = "Pi-5"\n[user]\nname = "amina"\npassword = "user-secret"\n[ssh]\nenabled = true\n'
        f'password_authentication = true\nauthorized_keys = ["{KEY}"]\n[wlan]\nssid = "Box"\npassword = "wlan-secret"\n'
    )
    report = run(places)
    assert (report.hostname, report.notes) == ("pi-5", ["password"])
    assert "Raspberry Pi Imager is not used" in status(places)
    assert "secret" not in preseed.read_text()
    run(places)
    assert 'psk="wlan-secret"' in (places.etc / "wpa_supplicant/wpa_supplicant-wlan0.conf").read_text()


def test_host_keys_are_made_once_and_differ(places: Places, tmp_path: Path) -> None:
    run(places)
    key = places.data / "ssh/ssh_host_ed25519_key"
    first = key.read_bytes()
    assert key.stat().st_mode & 0o777 == 0o600
    run(places)
    assert key.read_bytes() == first
    key.unlink()
    run(places)
    assert key.read_bytes() != first


@pytest.mark.parametrize("left", [{"ssh_host_ed25519_key": b""}, {"made": b"half", "made.pub": b""}])
def test_a_host_key_that_a_power_cut_left_in_part_is_made_anew(places: Places, left: dict[str, bytes]) -> None:
    folder = places.data / "ssh"
    folder.mkdir(parents=True)
    for name, data in left.items():
        (folder / name).write_bytes(data)
    run(places)
    told = subprocess.run(["ssh-keygen", "-y", "-f", folder / "ssh_host_ed25519_key"], capture_output=True, check=True)
    assert (folder / "ssh_host_ed25519_key.pub").read_bytes().split()[:2] == told.stdout.split()[:2]
    assert {path.name for path in folder.iterdir()} == {"ssh_host_ed25519_key", "ssh_host_ed25519_key.pub"}


def test_without_a_key_nobody_logs_in(places: Places) -> None:
    run(places)
    assert not (places.run / "ssh.sysusers").exists()
    assert not (places.etc / "ssh/authorized_keys").exists()


def test_what_happened_to_card_and_slots_is_told(places: Places) -> None:
    (places.marks / "data-lost").touch()
    (places.card / "slot.txt").write_text("os_prefix=A/\n")
    (places.card / "trial").write_text("b\n")
    assert run(places, "rauc.slot=A").notes == ["data_lost", "rolled_back"]
    assert "gone back to the version before" in status(places)


def test_a_card_that_is_not_there_is_no_end(places: Places) -> None:
    for path in places.card.iterdir():
        path.unlink()
    places.card.rmdir()
    assert run(places).mistakes == []


def test_the_card_tells_the_page_s_code_and_the_page_does_not(places: Places) -> None:
    run(places)
    code = (places.data / "page-code").read_text().strip()
    assert status(places).count(code) == 3  # languages
    assert (places.etc / "colibri/page-code").read_text().strip() == code
    assert (places.etc / "colibri/page-code").stat().st_mode & 0o777 == 0o640
    shown = (places.run / "COLIBRI-STATUS.txt").read_text("utf-8-sig")
    assert code not in shown
    assert shown.splitlines()[0] in status(places)
    run(places)
    assert (places.data / "page-code").read_text().strip() == code


def test_nothing_is_written_twice(places: Places) -> None:
    (places.card / "colibri.toml").write_text(GOOD)
    run(places)
    kept = [path for folder in (places.data, places.card) for path in folder.rglob("*") if path.is_file()]
    before = {path: path.stat().st_mtime_ns for path in kept}
    run(places)
    assert {path: path.stat().st_mtime_ns for path in kept} == before


def test_what_services_without_privileges_read_is_theirs_to_read(places: Places) -> None:
    """The service's umask hides what it writes; sshd reads keys as whoever logs in, the updater its address."""
    (places.card / "colibri.toml").write_text(GOOD)
    before = os.umask(0o077)
    try:
        run(places)
    finally:
        os.umask(before)
    for name in ("ssh/authorized_keys", "colibri/update-url", "hosts", "hostname"):
        assert (places.etc / name).stat().st_mode & 0o777 == 0o644, name
    assert (places.etc / "colibri").stat().st_mode & 0o777 == 0o755
    assert (places.run / "COLIBRI-STATUS.txt").stat().st_mode & 0o777 == 0o644


def test_a_daemon_without_settings_can_read_that_it_has_none(places: Places) -> None:
    before = os.umask(0o077)
    try:
        run(places)
    finally:
        os.umask(before)
    assert (places.etc / "colibri/colibri.toml").stat().st_mode & 0o777 == 0o644


def test_a_card_without_the_file_goes_on_as_before(places: Places) -> None:
    (places.card / "colibri.toml").write_text(GOOD)
    run(places)
    (places.card / "colibri.toml").unlink()
    (places.etc / "colibri/colibri.toml").unlink()  # it is in memory: gone at each start
    run(places)
    assert load(places.etc / "colibri/colibri.toml").mqtt.host == "192.0.2.1"


def test_the_light_is_told_of_a_mistake(places: Places) -> None:
    (places.card / "colibri.toml").write_text(GOOD)
    run(places)
    assert not (places.run / "mistake").exists()
    (places.card / "colibri.toml").write_text("[wifi]\nssid = \n")
    run(places)
    assert (places.run / "mistake").exists()
