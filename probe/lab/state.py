"""What a running lab tells the others, in small files: who holds the namespaces, and who is who in its world.

They are only pointers: the lab's process is the lab, and files whose process is gone are removed when they are seen.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import msgspec

from probe.lab.scenario import Scenario
from probe.lab.world import Prefix
from probe.model.errors import MalformedRecord, UsageError
from probe.model.finding import Access


class Home(msgspec.Struct, frozen=True):
    """A home and its line. ``distances``: node → the TTL that reaches it; ``measure``: the options of [measure]."""

    node: str
    operator: str
    asn: int
    country: str
    access: Access
    measure: dict[str, str]
    distances: dict[str, int]


class State(msgspec.Struct, frozen=True):
    """A lab that is up. ``namespaces``: node → descriptor in process ``pid``, which started at ``started`` (ticks)."""

    name: str
    pid: int
    started: int
    scenario: Scenario
    namespaces: dict[str, int]
    homes: dict[str, Home]
    addresses: dict[str, list[str]]
    prefixes: list[Prefix]
    authority: str

    def path(self, node: str) -> str:
        """Where another process opens a node's namespace. Raises UsageError."""
        if node not in self.namespaces:
            raise UsageError(f"the lab has no node {node!r}")
        return f"/proc/{self.pid}/fd/{self.namespaces[node]}"

    @property
    def authority_file(self) -> Path:
        """The certificate authority of the lab's servers, as a probe reads it (``[measure] authorities``)."""
        return folder() / f"{self.name}.pem"

    @property
    def prefixes_file(self) -> Path:
        """Whose addresses are whose, as a probe reads it (``[measure] prefixes``)."""
        return folder() / f"{self.name}.prefixes"


def folder() -> Path:
    """Where this user's labs leave their files; made if need be, readable by this user alone."""
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    path = Path(base, f"colibri-lab-{_outer_user()}")
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_uid != os.getuid():
        raise UsageError(f"{path} belongs to someone else")
    return path


def _outer_user() -> int:
    """This user's number outside of a user namespace, in which everyone may be 0 (user_namespaces(7))."""
    own = os.getuid()
    for line in Path("/proc/self/uid_map").read_text("ascii").splitlines():
        inside, outside, count = map(int, line.split())
        if inside <= own < inside + count:
            return outside + own - inside
    return own


def start_time(pid: int) -> int:
    """Ticks since boot at which a process started; with its pid this names it for good. 0 if there is none."""
    try:
        text = Path("/proc", str(pid), "stat").read_text("ascii", "replace")
    except OSError:
        return 0
    fields = text.rpartition(")")[2].split()
    return 0 if fields[0] in "ZX" else int(fields[19])


def write(state: State) -> Path:
    """Leave the files, each whole or not at all; the one that makes the lab known comes last."""
    path = folder() / f"{state.name}.json"
    rows = "".join(f"{row.prefix} {row.asn} {row.name}\n" for row in state.prefixes)
    texts = {state.authority_file: state.authority.encode(), state.prefixes_file: rows.encode()}
    for file, text in {**texts, path: msgspec.json.encode(state)}.items():
        draft = file.with_suffix(".new")
        draft.write_bytes(text)
        draft.replace(file)
    return path


def remove(name: str) -> None:
    """Take a lab's files away."""
    for suffix in ("json", "pem", "prefixes"):
        (folder() / f"{name}.{suffix}").unlink(missing_ok=True)


def read(name: str) -> State | None:
    """The lab of that name if it is up; stale files are removed. Raises MalformedRecord."""
    path = folder() / f"{name}.json"
    try:
        state = msgspec.json.decode(path.read_bytes(), type=State)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedRecord(str(path), str(error)) from error
    if start_time(state.pid) != state.started:
        remove(name)
        return None
    return state


def running() -> list[State]:
    """All labs of this user that are up, by name."""
    found = (read(path.stem) for path in sorted(folder().glob("*.json")))
    return [state for state in found if state is not None]
