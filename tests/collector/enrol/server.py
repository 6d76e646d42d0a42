"""The enrolment server as a process, as systemd would run it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from probe.collector.enrol.authority import Authority
from probe.collector.enrol.register import Register
from probe.collector.instants import now


class Server:
    """``colibri collector enrol-server`` on loopback. ``register`` and ``authority`` are its own files'."""

    def __init__(self, folder: Path, broker_port: int = 0) -> None:
        self.folder, self.config = folder / "enrol", folder / "town.toml"
        self.config.write_text(
            f'[collector.enrol]\nfolder = "{self.folder}"\nlisten = "127.0.0.1:0"\nnames = ["localhost", "127.0.0.1"]\n'
            f"broker_port = {broker_port}\n"
        )
        self.authority, self.register = Authority(self.folder, now()), Register(self.folder)
        command = [sys.executable, "-m", "probe", "collector", "enrol-server", "--config", str(self.config)]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        said = ""
        while "enrolment at" not in said:
            said = self._process.stderr.readline()
            assert said, "the server ended"
        port = re.search(r":(\d+)/", said)
        assert port
        self.port = int(port[1])
        self.url = f"https://localhost:{self.port}"

    def close(self) -> int:
        self._process.terminate()
        self._process.communicate(timeout=30)
        self.register.close()
        return self._process.returncode
