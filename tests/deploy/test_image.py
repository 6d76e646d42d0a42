"""The image's build tools, where they can be tested without building one: the merged root, the look for what must not
be in it, Raspberry Pi Imager's files."""

from __future__ import annotations

import hashlib
import io
import re
import struct
import subprocess
import sys
import tarfile
import zlib
from pathlib import Path

import jsonschema
import pytest

from tests.scripts import DEPLOY, load

IMAGE = DEPLOY / "image"
EPOCH = 1_700_000_000


TEXT, SIZE = {"type": "string", "minLength": 1}, {"type": "integer", "minimum": 1}
HASH = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
DAY = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d$"}
FORMATS = ["", "none", "systemd", "cloudinit", "cloudinit-rpi", "rpi-preseed"]
BUSES = ["i2c", "spi", "onewire", "serial", "usb_otg"]


def texts(*allowed: str) -> dict[str, object]:
    return {"type": "array", "items": {"enum": [*allowed]} if allowed else TEXT}


DEVICE = {
    "type": "object", "required": ["name", "description", "tags"],
    "properties": {
        **dict.fromkeys(("name", "description", "icon", "architecture"), TEXT), "tags": {**texts(), "minItems": 1},
        "matching_type": {"enum": ["exclusive", "inclusive"]}, "capabilities": texts(*BUSES, "serial_on_console_only"),
    },
}  # fmt: skip
ENTRY = {
    "name": TEXT, "description": TEXT, "icon": TEXT, "url": TEXT, "extract_size": SIZE, "extract_sha256": HASH,
    "image_download_size": SIZE, "release_date": DAY, "devices": {**texts(), "minItems": 1},
}  # fmt: skip
MORE = {
    "image_download_sha256": HASH, "init_format": {"enum": FORMATS}, "website": TEXT, "architecture": TEXT,
    "capabilities": texts("secure_boot", "passwordless_sudo", *BUSES), "random": {"type": "boolean"}, "tooltip": TEXT,
}  # fmt: skip
FOLDER = {"type": "object", "required": ["name", "description"], "properties": {"name": TEXT, "description": TEXT}}
IMAGER = {
    "type": "object", "required": ["os_list"], "additionalProperties": False,
    "properties": {
        "imager": {
            "type": "object", "additionalProperties": False,
            "properties": {
                **dict.fromkeys(("latest_version", "url", "default_os", "embedded_default_os"), TEXT),
                "embedded_default_destination": TEXT, "devices": {"type": "array", "items": DEVICE},
                "refresh_interval_minutes": {"type": "integer"}, "refresh_jitter_minutes": {"type": "integer"},
            },
        },
        "os_list": {
            "type": "array",
            "items": {
                "anyOf": [
                    {"type": "object", "required": [*ENTRY], "properties": {**ENTRY, **MORE}},
                    {**FOLDER, "anyOf": [{"required": ["subitems_url"]}, {"required": ["subitems"]}]},
                ],
            },
        },
    },
}  # fmt: skip
"""What Raspberry Pi Imager 2's own schema (doc/json-schema/os-list-schema.json) asks of such a file, in our words, and
stricter: there every text will do for a hash or a date."""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A tar as mmdebstrap makes it: owners, links, a device, what a build machine leaves."""
    path = tmp_path / "base.tar"
    with tarfile.open(path, "w") as tar:
        for name, kind, content in (
            ("./etc", tarfile.DIRTYPE, ""), ("./etc/apt/sources.list", tarfile.REGTYPE, "deb http://mirror.test/x"),
            ("./etc/passwd", tarfile.REGTYPE, "root"), ("./tmp", tarfile.DIRTYPE, ""),
            ("./usr/bin/perl", tarfile.LNKTYPE, "./usr/bin/perl5"), ("./usr/bin/perl5", tarfile.REGTYPE, "program"),
            ("./var/log/dpkg.log", tarfile.REGTYPE, "dates"), ("./lib", tarfile.SYMTYPE, "usr/lib"),
            ("./dev/null", tarfile.CHRTYPE, ""), ("./usr/sbin/x", tarfile.REGTYPE, "x"),
        ):  # fmt: skip
            info = tarfile.TarInfo(name)
            info.type, info.mtime, info.mode = kind, EPOCH + 9, 0o1777 if name == "./tmp" else 0o755
            info.uid = info.gid = 800 if name == "./usr/sbin/x" else 0
            if kind in (tarfile.LNKTYPE, tarfile.SYMTYPE):
                info.linkname = content
                content = ""
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content.encode()))
    return path


def compose(base: Path, *layers: Path) -> bytes:
    given = [part for layer in layers for part in ("--layer", str(layer))]
    whole = [sys.executable, str(IMAGE / "compose.py"), "--epoch", str(EPOCH), *given, str(base)]
    return subprocess.run(whole, capture_output=True, check=True, timeout=60).stdout


def test_the_root_is_merged_sorted_dated_and_the_same_each_time(base: Path, tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    (layer / "etc").mkdir(parents=True)
    (layer / "tmp").mkdir()
    (layer / "etc/passwd").write_text("ours")
    (layer / "etc/passwd").chmod(0o600)
    (layer / "run.sh").write_text("#!/bin/sh")
    (layer / "run.sh").chmod(0o700)
    (layer / "link").symlink_to("/etc/passwd")
    data = compose(base, layer)
    (layer / "run.sh").touch()
    assert compose(base, layer) == data
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = {member.name: member for member in tar}
        assert list(members) == sorted(members)
        assert {"etc/apt/sources.list", "var/log/dpkg.log", "dev/null"} & members.keys() == set()
        assert {member.mtime for member in members.values()} == {EPOCH}
        assert (members["tmp"].mode, members["run.sh"].mode, members["etc/passwd"].mode) == (0o1777, 0o755, 0o644)
        assert (members["usr/sbin/x"].uid, members["link"].linkname) == (800, "/etc/passwd")
        for name, content in (("etc/passwd", b"ours"), ("usr/bin/perl", b"program"), ("usr/bin/perl5", b"program")):
            file = tar.extractfile(name)
            assert file is not None
            assert file.read() == content


@pytest.mark.parametrize(
    ("name", "stays"),
    [
        ("usr/lib/udev/hwdb.bin", False), ("usr/lib/udev/rules.d/60-x.rules", True),
        ("usr/lib/aarch64-linux-gnu/gconv/SJIS.so", False), ("usr/lib/aarch64-linux-gnu/gconv/IBM850.so", True),
        ("usr/lib/aarch64-linux-gnu/gconv/gconv-modules", True), ("usr/lib/aarch64-linux-gnu/libc.so.6", True),
        ("var/log", True), ("var/log/dpkg.log", False),
    ],
)  # fmt: skip
def test_what_nobody_reads_on_a_probe_stays_behind(name: str, stays: bool) -> None:
    assert load("image/compose").left_out(name) is not stays


def test_what_must_not_be_in_an_image_is_found(tmp_path: Path) -> None:
    check = load("image/check")
    root = tmp_path / "root"
    for name, content in (("etc/machine-id", ""), ("etc/shadow", "root:*:1\nme:!*:1\n"), ("usr/x", "harmless")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    wanted = {b"mirror.test"}
    assert [*check.traces(root, wanted), *check.identities(root), *check.privileged(root)] == []
    (root / "usr/x").write_bytes(b"\0http://MIRROR.test/debian\0")
    (root / "usr/y").symlink_to("/mnt/mirror.test")
    (root / "etc/machine-id").write_text("0" * 32)
    (root / "etc/shadow").write_text("root:$6$x:1\n")
    (root / "etc/ssh").mkdir()
    (root / "etc/ssh/ssh_host_rsa_key").touch()
    (root / "usr/evil").touch()
    (root / "usr/evil").chmod(0o4755)
    found = [*check.traces(root, wanted), *check.identities(root), *check.privileged(root)]
    assert found == [
        "usr/x: mirror.test", "usr/y: its name", "etc/ssh/ssh_host_rsa_key: a host key", "etc/machine-id is not empty",
        "etc/shadow: root has a password", "usr/evil: set-user-id",
    ]  # fmt: skip


def test_the_partitions_are_found(tmp_path: Path) -> None:
    table = bytearray(512)
    table[446 + 16 + 8 : 446 + 16 + 16] = struct.pack("<II", 8192, 4096)
    (tmp_path / "image").write_bytes(table)
    assert load("image/check").partition(tmp_path / "image", 2) == (8192 * 512, 4096 * 512)


def test_imager_s_file_bears_the_sizes_and_hashes_of_the_very_files(tmp_path: Path) -> None:
    image, packed = tmp_path / "c.img", tmp_path / "c.img.xz"
    image.write_bytes(b"image" * 1000)
    packed.write_bytes(b"packed")
    document = load("image/imager").repository(image, packed, "0.1.7", "2026-11-22", "https://colibri.example/")
    (entry,) = document["os_list"]
    assert (entry["extract_size"], entry["image_download_size"]) == (5000, 6)
    assert entry["extract_sha256"] == hashlib.sha256(b"image" * 1000).hexdigest()
    assert entry["image_download_sha256"] == hashlib.sha256(b"packed").hexdigest()
    assert (entry["url"], entry["init_format"]) == ("https://colibri.example/c.img.xz", "rpi-preseed")
    offered = {tag for device in document["imager"]["devices"] for tag in device["tags"]}
    assert set(entry["devices"]) == offered
    jsonschema.validate(document, IMAGER)
    for wrong in (
        {"extract_size": "5000"}, {"release_date": "22.11.2026"}, {"url": None}, {"init_format": "preseed"},
        {"devices": None}, {"capabilities": ["wifi"]},
    ):  # fmt: skip
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**document, "os_list": [{**entry, **wrong}]}, IMAGER)
    undescribed = {"name": "Raspberry Pi 5", "tags": ["pi5-64bit"]}
    for key, value in ("device", {}), ("devices", undescribed):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**document, "imager": {key: [value]}}, IMAGER)


def test_the_icon_is_one_and_the_same(tmp_path: Path) -> None:
    icon = load("image/icon")
    data: bytes = icon.png()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", data[16:24]) == (40, 40)
    begin = data.index(b"IDAT")
    rows = zlib.decompress(data[begin + 4 : begin + 4 + struct.unpack(">I", data[begin - 4 : begin])[0]])
    assert len(rows) == 40 * (1 + 40 * 4)
    assert 300 < sum(rows[i] > 0 for i in range(4, len(rows), 4)) < 1600, "a bird, on nothing"
    assert icon.png() == data


@pytest.mark.parametrize("script", sorted(IMAGE.rglob("*.sh")), ids=lambda path: path.name)
def test_scripts_are_shell(script: Path) -> None:
    text = script.read_text()
    shell = "bash" if text.startswith("#!/usr/bin/env bash") or script.name == "common.sh" else "sh"
    assert subprocess.run([shell, "-n", script], capture_output=True, check=False).stderr == b""


@pytest.mark.parametrize("name", ["apply", "led", "mend-data", "keep-journal", "rauc-boot"])
def test_the_device_s_scripts_are_plain_shell(name: str) -> None:
    path = IMAGE / "files/usr/lib/colibri" / name
    assert path.stat().st_mode & 0o111
    assert subprocess.run(["sh", "-n", path], capture_output=True, check=False).stderr == b""


def test_what_is_switched_on_exists() -> None:
    units = DEPLOY.parent / "systemd"
    ours = {path.name for folder in (units, units / "appliance") for path in folder.iterdir()}
    lines = [line.split() for line in (IMAGE / "enabled.txt").read_text().splitlines() if line and line[0] != "#"]
    named = {unit for _, unit in lines if unit.startswith("colibri")}
    assert named
    assert named - ours == set()


def test_slots_are_the_same_everywhere() -> None:
    names = ("card.sh", "files/etc/fstab", "files/etc/rauc/system.conf", "files/usr/lib/colibri/rauc-boot")
    texts = [(IMAGE / name).read_text() for name in names]
    assert all("c011b121" in text for text in texts)
    slots = re.findall(r"by-partuuid/(\S+)\ntype=raw\nbootname=(\w)", texts[2])
    assert slots == [("c011b121-02", "A"), ("c011b121-03", "B")]


@pytest.mark.parametrize(("word", "trigger"), [("fine", "heartbeat"), ("mistake", "timer")])
@pytest.mark.parametrize("name", ["ACT", "led0"])
def test_the_light_says_how_it_is(tmp_path: Path, name: str, word: str, trigger: str) -> None:
    led = tmp_path / name
    led.mkdir()
    (led / "trigger").write_text("none [mmc0]")
    script = IMAGE / "files/usr/lib/colibri/led"
    subprocess.run([script, word], env={"LEDS": str(tmp_path), "PATH": "/usr/bin:/bin"}, check=True)
    assert (led / "trigger").read_text() == f"{trigger}\n"
    assert (led / "delay_on").exists() == (word == "mistake")


def test_where_there_is_no_light_nothing_happens(tmp_path: Path) -> None:
    script = IMAGE / "files/usr/lib/colibri/led"
    subprocess.run([script, "mistake"], env={"LEDS": str(tmp_path), "PATH": "/usr/bin:/bin"}, check=True)
    assert list(tmp_path.iterdir()) == []
