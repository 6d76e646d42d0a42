"""Handing work to the daemon that runs here, by a client that loads next to nothing.

Python's start is what such a command costs; so the socket is the interpreter's own (``socket`` brings selectors and
enumerations for what is not needed here), and the configuration is not read by its types, only looked at for the path
of the daemon's socket.
"""

from __future__ import annotations

import _socket
import os

from probe.model.errors import CannotMeasure, ColibriError

TYPE_CHECKING = False  # importing typing costs as much as all of this
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

SOCKET = "/run/colibri/control.sock"
"""Where the daemon listens if the configuration says nothing else (``control.socket``)."""
PATH = "/etc/colibri/colibri.toml"
VARIABLE = "COLIBRI_CONFIG"
"""As in :mod:`probe.agent.config`."""
_ALL_WELL = '{"failed":false,"lost":0,"word":""}'
_A_LINE = 100  # targets: a line of them is shorter than the daemon's longest
_CHUNK = 1 << 16
_NO_HEADERS = frozenset({"true", "false", "inf", "nan"})  # in brackets they are lists


def control_socket(environment: Mapping[str, str] | None = None) -> str | None:
    """The path of the daemon's socket by the configuration in force, "" for none; None where that file has to be read
    in earnest to know."""
    path = (os.environ if environment is None else environment).get(VARIABLE) or PATH
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - pathlib would cost a tenth of the start
            found = look(file.read())
    except FileNotFoundError:
        return SOCKET if path == PATH else None
    except (OSError, UnicodeError):
        return None
    return found if found is None or found.startswith("/") or not found else None


def look(text: str) -> str | None:
    """``control.socket`` of a configuration, if a look at its lines suffices to tell; else None.

    It never tells another than TOML would (v1.0, "Table", "String"): whatever could carry the word on from one line to
    the next, or spell it otherwise, is for a real reader.
    """
    if '\\' in text or '"""' in text or "'''" in text or "\r" in text or "\0" in text:
        return None
    section, found = "", SOCKET
    for line in map(str.strip, text.split("\n")):
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            section = line[1:-1]
            plain = section.replace("_", "").replace(".", "").replace("-", "")
            if not line.endswith("]") or not plain.isascii() or not plain.isalnum() or not plain[0].isalpha():
                return None  # a table of a table, a list of lists, a comment behind it …
            if section in _NO_HEADERS or section.startswith("control."):
                return None
        elif section == "control":
            key, sign, value = map(str.strip, line.partition("="))
            if not sign or key not in ("socket", "group") or len(value) < 2 or value[0] != '"' or value[-1] != '"':
                return None
            if '"' in value[1:-1]:
                return None
            if key == "socket":
                found = value[1:-1]
        elif not section and "control" in line:
            return None
    return found


class RefusedError(ColibriError):
    """The daemon's word on why not, with the exit status that it gave."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.exit_status = status


def through_daemon(
    path: str, request: Mapping[str, Any], targets: Sequence[str], row: Callable[[str], None],
    tell: Callable[[str], None],
) -> dict[str, Any] | None:  # fmt: skip
    """Have the daemon do it: ``row`` gets each row (JSON) as it comes, ``tell`` its progress. Returns what it said in
    the end; None where no daemon listens, or not for us.

    Raises RefusedError for what it refuses, CannotMeasure where it goes away before it is done. Whoever is interrupted
    ends the job with it: the connection closes.
    """
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        try:
            sock.connect(path)
        except (OSError, ValueError):  # ValueError: a path with a null byte
            return None
        try:
            try:  # noqa: SIM105 - contextlib would be another module
                sock.sendall("".join(_lines(request, targets)).encode())
            except ConnectionError:
                pass  # it would not hear the end; what it had to say about that is there
            for line in _heard(sock):
                if line.startswith('{"row":'):
                    row(line[7:-1])
                    continue
                if line == _ALL_WELL:
                    return {"failed": False, "lost": 0, "word": ""}
                import json  # with the expressions that it is made of: for the last line, and mostly not even for that

                said: dict[str, Any] = json.loads(line)
                if "progress" in said:
                    tell(said["progress"])
                elif "error" in said:
                    raise RefusedError(said["error"], int(said["exit_status"]))
                else:
                    return said
        except ConnectionError:
            pass
        raise CannotMeasure("the daemon broke off", "is it still running? `colibri status`")
    finally:
        sock.close()


def _lines(request: Mapping[str, Any], targets: Sequence[str]) -> Iterator[str]:
    """The request, then the targets."""
    head = {"command": "probe", **request, "count": len(targets)}
    yield "{" + ", ".join(f"{encoded(name)}: {encoded(value)}" for name, value in head.items()) + "}\n"
    for at in range(0, len(targets), _A_LINE):
        yield encoded(targets[at : at + _A_LINE]) + "\n"


def encoded(value: object) -> str:
    """A value as JSON: what is plain without ``json``, which would be a fifth of the client's start."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str) and value.isascii() and value.isprintable() and '"' not in value and "\\" not in value:
        return f'"{value}"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(encoded, value)) + "]"
    import json

    return json.dumps(value)


def _heard(sock: _socket.socket) -> Iterator[str]:
    """Whole lines, as they come."""
    rest = b""
    while octets := sock.recv(_CHUNK):
        *whole, rest = (rest + octets).split(b"\n")
        for line in whole:
            yield line.decode()
