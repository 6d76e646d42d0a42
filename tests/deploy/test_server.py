"""deploy/server/install.sh and deploy/service/install.sh, with stand-ins for apt, pip and systemd but the real CLI:
what they write, that a second run changes nothing, and that a real broker takes what they made."""

from __future__ import annotations

import hashlib
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from probe.cli import main as cli

ROOT = Path(__file__).parents[2]
NOTES = '#!/bin/sh\necho "$(basename "$0") $*" >>"$DESTDIR/calls"\n'
# Makes an environment whose Python is this one and whose `colibri` is ours; pip only notes what it was asked.
PYTHON = f"""#!/bin/sh
case "$*" in
"-m venv --clear "*)
    mkdir -p "$4/bin" && cp "$0" "$4/bin/python" &&
    printf '#!/bin/sh\\nexec {sys.executable} -m probe "$@"\\n' >"$4/bin/colibri" && chmod 755 "$4/bin/colibri" ;;
*"pip"*) echo "pip $*" >>"$DESTDIR/calls" ;;
*compileall*) echo "compileall" >>"$DESTDIR/calls" ;;
esac
"""
BASICS = [
    "awk", "basename", "bash", "cat", "chmod", "cp", "dirname", "env", "grep", "install", "ln", "mkdir", "mktemp",
    "realpath", "rm", "sed", "sh", "tail", "tr",
]  # fmt: skip
UNIT = """[Unit]
Description=Mosquitto MQTT Broker
After=network.target

[Service]
ExecStart=/usr/sbin/mosquitto -c /etc/mosquitto/mosquitto.conf

[Install]
WantedBy=multi-user.target
"""

pytestmark = pytest.mark.loopback


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A fresh server, on which apt has just installed Mosquitto."""
    root = tmp_path / "server"
    for folder in ("etc/mosquitto/certs", "lib/systemd/system", "usr/bin"):
        (root / folder).mkdir(parents=True)
    (root / "etc/mosquitto/mosquitto.conf").write_text("Debian's own\n")
    (root / "lib/systemd/system/mosquitto.service").write_text(UNIT)
    (tmp_path / "bin").mkdir()
    for tool in BASICS:
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool) or f"/bin/{tool}")
    tools = dict.fromkeys(("apt-get", "systemctl", "systemd-sysusers", "systemd-tmpfiles"), NOTES)
    tools |= {"python3": PYTHON, "id": "#!/bin/sh\necho 0\n", "hostname": "#!/bin/sh\necho mypi\n"}
    for tool, script in tools.items():
        (tmp_path / "bin" / tool).write_text(script)
        (tmp_path / "bin" / tool).chmod(0o755)
    return tmp_path


def install(machine: Path, *words: str, script: str = "server") -> subprocess.CompletedProcess[str]:
    # What /usr/bin/colibri links to lies below the root here.
    link = machine / "server/usr/bin/colibri"
    environment = {"PATH": f"{machine}/bin", "DESTDIR": str(machine / "server"), "PYTHONPATH": str(ROOT)}
    command = machine / "server/opt/colibri/venv/bin/colibri"
    if not link.exists() and not link.is_symlink():
        subprocess.run(["bash", "-c", f"mkdir -p {command.parent}"], check=True)
    patched = machine / f"{script}.sh"
    text = (ROOT / f"deploy/{script}/install.sh").read_text()
    patched.write_text(text.replace('cd "$(dirname "${BASH_SOURCE[0]}")/../.."', f"cd {ROOT}").replace(
        '"$COMMAND" collector', f'"{command}" collector'))  # fmt: skip
    return subprocess.run(["bash", patched, *words], env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False, timeout=120)  # fmt: skip


def calls(machine: Path, tool: str) -> list[str]:
    lines = (machine / "server/calls").read_text().splitlines()
    return [line for line in lines if line.startswith(tool)]


def tree(root: Path) -> dict[str, str]:
    """Every file, with its mode and content."""
    return {
        str(path.relative_to(root)): str(path.readlink()) if path.is_symlink()
        else f"{path.stat().st_mode:o} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in sorted(root.rglob("*")) if (path.is_file() or path.is_symlink()) and path.name != "calls"
        and not path.name.endswith(("-wal", "-shm"))
    }  # fmt: skip


def test_a_server_in_one_command_and_a_second_one_changes_nothing(machine: Path) -> None:
    root = machine / "server"
    done = install(machine, "--name", "collector.example", "--web", "monitor.example")
    assert done.returncode == 0, done.stderr
    first = tree(root)
    assert cli.main(["config", "check", str(root / "etc/colibri/colibri.toml")]) == 0
    for name in ("ca.pem", "broker.pem", "broker.key", "bridge.pem", "bridge.key", "revoked.crl"):
        assert (root / f"etc/mosquitto/certs/colibri-{name}").stat().st_size > 100
    assert (root / "etc/mosquitto/certs/colibri-broker.key").stat().st_mode & 0o777 == 0o640
    assert (root / "var/lib/colibri-collector/enrol").stat().st_mode & 0o777 == 0o700
    assert (root / "etc/mosquitto/mosquitto.conf").read_text() == "Debian's own\n"
    public = (root / "etc/systemd/system/mosquitto-public.service").read_text()
    assert "ExecStart=/usr/sbin/mosquitto -c /etc/mosquitto/colibri-public.conf" in public
    assert "reverse_proxy 127.0.0.1:8080" in (root / "etc/caddy/Caddyfile").read_text()
    assert "(the monitor: https://monitor.example)" in done.stderr
    restarted = {call.split()[2] for call in calls(machine, "systemctl restart")}
    assert restarted == {"mosquitto.service", "mosquitto-public.service", "colibri-collector.service",
                         "colibri-enrol.service", "colibri-revoked.path", "caddy.service"}  # fmt: skip
    assert any("--require-hashes -r locks/collector.txt" in call for call in calls(machine, "pip"))

    again = install(machine)
    assert again.returncode == 0, again.stderr
    assert tree(root) == first


def test_a_real_broker_takes_what_was_made(machine: Path) -> None:
    """TLS 1.3 with the certificates, the access list, the list of the revoked; no other than ours may in."""
    assert install(machine, "--name", "collector.example").returncode == 0
    certificates = machine / "server/etc/mosquitto/certs"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    configuration = (machine / "server/etc/mosquitto/colibri.conf").read_text()
    for old, new in (
        ("/etc/mosquitto", f"{machine}/server/etc/mosquitto"), ("listener 8883", f"listener {port} 127.0.0.1"),
        ("/run/mosquitto", str(machine)), ("/var/lib/mosquitto", str(machine)),
    ):  # fmt: skip
        assert old in configuration
        configuration = configuration.replace(old, new)
    (machine / "broker.conf").write_text(f"user root\n{configuration}")
    broker = subprocess.Popen([shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c", machine / "broker.conf"])
    try:
        tls = machine / "server/var/lib/colibri-collector/tls"
        deadline = time.monotonic() + 30
        while not listens(port) and time.monotonic() < deadline:
            time.sleep(0.05)
        script = (
            "import os, ssl, sys\nfrom paho.mqtt.client import Client\n"
            "from paho.mqtt.enums import CallbackAPIVersion as V\n"
            "c = Client(V.VERSION2); x = ssl.create_default_context(cafile=sys.argv[2])\n"
            "x.load_cert_chain(sys.argv[3], sys.argv[4]) if len(sys.argv) > 3 else None\n"
            "c.tls_set_context(x); c.on_connect = lambda c, u, f, rc, p: (print(rc, flush=True), c.disconnect())\n"
            "c.on_disconnect = lambda *_: os._exit(0)  # it would come back again and again\n"
            "c.connect('localhost', int(sys.argv[1])); c.loop_forever()"
        )

        def connect(*files: Path) -> str:
            words = [sys.executable, "-c", script, str(port), *map(str, files)]
            return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60).stdout

        authority = certificates / "colibri-ca.pem"
        assert connect(authority, tls / "collector.pem", tls / "collector.key") == "Success\n"
        assert connect(authority) == ""
    finally:
        broker.terminate()
        broker.wait(20)


def listens(port: int) -> bool:
    with socket.socket() as link:
        return link.connect_ex(("127.0.0.1", port)) == 0


def test_what_was_the_owner_s_stays(machine: Path) -> None:
    assert install(machine, "--name", "collector.example").returncode == 0
    configuration = machine / "server/etc/colibri/colibri.toml"
    configuration.write_text(configuration.read_text() + "# mine\n")
    key = (machine / "server/var/lib/colibri-collector/enrol/authority.key").read_bytes()
    assert install(machine, "--name", "other.example").returncode == 0
    assert configuration.read_text().endswith("# mine\n")
    assert (machine / "server/var/lib/colibri-collector/enrol/authority.key").read_bytes() == key
    (machine / "server/etc/caddy").mkdir()
    (machine / "server/etc/caddy/Caddyfile").write_text("mine.example {\n}\n")
    refused = install(machine, "--web", "monitor.example")
    assert refused.returncode == 1
    assert "Caddyfile is yours" in refused.stderr
    assert (machine / "server/etc/caddy/Caddyfile").read_text() == "mine.example {\n}\n"


def test_certificates_that_are_given_are_used(machine: Path) -> None:
    for name in ("c.pem", "k.pem"):
        (machine / name).write_text("given")
    words = ["--web", "monitor.example", "--cert", str(machine / "c.pem"), "--key", str(machine / "k.pem")]
    assert install(machine, "--name", "collector.example", *words).returncode == 0
    assert f"tls {machine}/c.pem {machine}/k.pem" in (machine / "server/etc/caddy/Caddyfile").read_text()


@pytest.mark.parametrize(
    "words",
    [["--name"], ["--name", "$(reboot)"], ["--name", "a b"], ["--nmae", "x"], [], ["--name", "x", "--cert", "/nowhere"],
     ["--name", "x", "--web", "w.example", "--cert", "/nowhere", "--key", "/nowhere"]],
)  # fmt: skip
def test_wrong_words_change_nothing(machine: Path, words: list[str]) -> None:
    done = install(machine, *words)
    assert done.returncode == 1
    assert done.stderr.startswith("install-server: ")
    assert not (machine / "server/calls").exists()


def test_a_probe_on_a_machine_of_one_s_own(machine: Path) -> None:
    root = machine / "server"
    done = install(machine, script="service")
    assert done.returncode == 0, done.stderr
    first = tree(root)
    assert cli.main(["config", "check", str(root / "etc/colibri/colibri.toml")]) == 0
    for unit in ("colibri.service", "colibri-page.service", "colibri-page.socket"):
        assert (root / "etc/systemd/system" / unit).read_text() == (ROOT / "systemd" / unit).read_text()
    assert "PYTHONOPTIMIZE=2" in (root / "etc/systemd/system/colibri.service.d/optimised.conf").read_text()
    assert calls(machine, "compileall")
    restarted = [call.split()[2] for call in calls(machine, "systemctl restart")]
    assert restarted == ["colibri.service", "colibri-page.socket"]
    (root / "etc/colibri/colibri.toml").write_text("# mine\n")
    assert install(machine, script="service").returncode == 0
    assert {**tree(root), "etc/colibri/colibri.toml": ""} == {**first, "etc/colibri/colibri.toml": ""}
    assert (root / "etc/colibri/colibri.toml").read_text() == "# mine\n"

    assert install(machine, "--no-page", script="service").returncode == 0
    assert not (root / "etc/systemd/system/colibri-page.socket").exists()
    assert install(machine, "--uninstall", script="service").returncode == 0
    assert list((root / "etc/systemd/system").iterdir()) == []
    assert not (root / "usr/bin/colibri").is_symlink()
    assert (root / "etc/colibri/colibri.toml").read_text() == "# mine\n"
