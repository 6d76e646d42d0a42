"""The rules of the house, held against every file: rooms, sizes, tests, pages, start-up, docstrings, tracked text."""

from __future__ import annotations

import ast
import configparser
import json
import os
import re
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "probe").rglob("*.py"))

# Room → the rooms it may import (docs/architecture.md). "" is probe/ itself: the version and `python -m probe`.
ROOMS: dict[str, set[str]] = {
    "": {"cli"},
    "model": set(),
    "wire": {"model"},
    "measurements": {"model", "wire"},
    "engine": {"model", "wire", "measurements"},  # it drives their generators, live and in a replay
    "agent": {"model", "engine", "measurements"},
    "appliance": {"model", "agent"},  # the image's own part; nobody imports it
    "collector": {"model", "wire", "measurements"},
    "export": {"model", "wire", "measurements"},
    "page": {"model"},
    "reflector": {"model", "wire"},
    "lab": {"model", "wire", "measurements", "engine", "agent", "collector", "reflector"},
    "cli": {"model", "wire", "measurements", "engine", "agent", "collector", "export", "page", "reflector", "lab"},
}

# Library → where alone it may be imported: it is heavy, or it touches what only those rooms may touch.
ONLY_IN = {
    "scapy": ("probe/engine/", "probe/lab/"),
    "pyroute2": ("probe/lab/",),
    "paho": ("probe/agent/", "probe/collector/", "probe/cli/", "probe/lab/"),
    "starlette": ("probe/collector/",),
    "uvicorn": ("probe/collector/",),
    "babel": ("probe/collector/",),
    "jinja2": ("probe/collector/",),
    "rfc3161_client": ("probe/collector/dossier/",),
    "weasyprint": ("probe/collector/dossier/",),
    "systemd": ("probe/agent/",),
}

# The one exception: a shared library that signs has no state, and gives the same bytes for the same key and text.
PURE_ALL_THE_SAME = {("probe/model/ed25519.py", "ctypes")}

# A room of pure functions has no sockets, clocks, threads or chance of its own.
PURE = ("model", "wire", "measurements", "export")
IMPURE = {
    "asyncio", "concurrent", "ctypes", "fcntl", "http.client", "http.server", "multiprocessing", "os", "random",
    "secrets", "select", "selectors", "signal", "socket", "socketserver", "ssl", "subprocess", "threading", "time",
    "urllib.request",
}  # fmt: skip

HEAVY = {
    "asyncio", "babel", "cryptography", "email", "jinja2", "logging", "msgspec", "paho", "pyroute2", "scapy", "socket",
    "ssl", "starlette", "subprocess", "uvicorn", "weasyprint",
}  # fmt: skip
MODULE_BUDGET = 20
"""Modules that `colibri --version` may import beyond those of a bare Python (`-S`); half are `os` and its kin."""

LONGEST = 400
MEDIAN = 150


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def listed(faults: list[str]) -> str:
    """All of them, one a line: whoever broke a rule sees where."""
    return "\n".join(["", *faults])


def room(path: Path) -> str:
    parts = path.relative_to(ROOT / "probe").parts
    return parts[0] if len(parts) > 1 else ""


@cache
def imports(path: Path) -> list[tuple[str, str]]:
    """(module, name imported from it or ""), of every import wherever it stands; relative ones made absolute."""
    package = path.relative_to(ROOT).parent.parts
    found: list[tuple[str, str]] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            found += [(module, alias.name) for alias in node.names]
    return found


def rooms_imported(path: Path) -> Iterator[str]:
    for module, imported in imports(path):
        parts = [*module.split("."), imported]
        if parts[0] == "probe" and len(parts) > 1 and parts[1] in ROOMS and parts[1] != room(path):
            yield parts[1]


def is_impure(module: str, imported: str) -> bool:
    """Whether an import brings in one of IMPURE or a part of it (``from urllib import request`` does)."""
    return any(f"{path}.".startswith(f"{one}.") for one in IMPURE for path in (module, f"{module}.{imported}"))


def tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return [path for part in done.stdout.decode().split("\0") if part and (path := ROOT / part).is_file()]


def texts() -> Iterator[tuple[str, str]]:
    """(name, text) of every tracked text file."""
    for path in tracked():
        content = path.read_bytes()
        if b"\0" not in content[:8192]:
            yield name(path), content.decode(errors="replace")


def test_every_folder_of_the_package_is_a_room_of_the_table() -> None:
    folders = {path.relative_to(ROOT / "probe").parts[0] for path in MODULES if path.parent != ROOT / "probe"}
    assert folders <= ROOMS.keys()


def test_imports_run_one_way_through_the_rooms() -> None:
    wrong = [
        f"{name(path)} imports {other}"
        for path in MODULES
        for other in rooms_imported(path)
        if other not in ROOMS[room(path)]
    ]
    assert not wrong, listed(wrong)


def test_the_rooms_have_no_ring() -> None:
    order: list[str] = []
    left = dict(ROOMS)
    while ready := [one for one, uses in left.items() if uses <= set(order)]:
        order += ready
        left = {one: uses for one, uses in left.items() if one not in ready}
    assert left == {}


def test_libraries_stay_in_their_rooms() -> None:
    wrong = [
        f"{name(path)} imports {module}"
        for path in MODULES
        for module, _ in imports(path)
        if (top := module.split(".")[0]) in ONLY_IN and not name(path).startswith(ONLY_IN[top])
    ]
    assert not wrong, listed(wrong)


def test_scapy_is_never_imported_whole() -> None:
    wrong = [name(path) for path in MODULES for module, _ in imports(path) if module == "scapy.all"]
    assert not wrong, listed(wrong)


def test_pure_rooms_touch_no_socket_clock_thread_or_chance() -> None:
    wrong = [
        f"{name(path)} imports {module} {imported}".strip()
        for path in MODULES
        if room(path) in PURE
        for module, imported in imports(path)
        # The type alone: the source of chance is handed in by the engine.
        if is_impure(module, imported) and (module, imported) != ("random", "Random")
        and (name(path), module) not in PURE_ALL_THE_SAME
    ]
    assert not wrong, listed(wrong)


@pytest.mark.parametrize(
    ("module", "imported", "impure"),
    [
        ("time", "", True), ("concurrent.futures", "", True), ("urllib", "request", True), ("os.path", "join", True),
        ("urllib.parse", "urlsplit", False), ("timeit", "", False),
    ],
)  # fmt: skip
def test_what_counts_as_impure(module: str, imported: str, impure: bool) -> None:
    assert is_impure(module, imported) is impure


def test_nothing_waits_in_a_way_that_swallows_a_cancellation() -> None:
    # Before Python 3.12 asyncio.wait_for loses one that comes in the step of the result: what was told to end goes on.
    wrong = [
        f"{name(path)}: async with asyncio.timeout(…) instead"
        for path in MODULES
        if "asyncio.wait_for" in path.read_text() or ("asyncio", "wait_for") in imports(path)
    ]
    assert not wrong, listed(wrong)


def test_pure_rooms_make_no_source_of_chance_and_ask_no_clock() -> None:
    wrong = [
        f"{name(path)}:{node.lineno}"
        for path in MODULES
        if room(path) in PURE
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Name) and node.func.id == "Random")
            or (isinstance(node.func, ast.Attribute) and node.func.attr in {"now", "utcnow", "today"})
        )
    ]
    assert not wrong, listed(wrong)


def test_every_module_has_its_test_file() -> None:
    missing = []
    for path in MODULES:
        relative = path.relative_to(ROOT / "probe")
        twin = ROOT / "tests" / relative.parent / f"test_{path.stem.strip('_')}.py"
        if path.stem != "__init__" and not twin.is_file():
            missing.append(f"{name(path)} lacks {name(twin)}")
    assert not missing, listed(missing)


def test_every_test_file_holds_a_test() -> None:
    empty = [
        name(path)
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        if not any(
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
            for node in ast.walk(ast.parse(path.read_text()))
        )
    ]
    assert not empty, listed(empty)


def test_every_measurement_has_its_page() -> None:
    kinds = [path.stem for path in (ROOT / "probe/measurements").glob("*.py") if not path.stem.startswith("_")]
    assert kinds
    missing = [kind for kind in kinds if not (ROOT / f"docs/measurements/{kind}.md").is_file()]
    assert not missing, listed(missing)


def test_modules_are_small() -> None:
    sizes = {name(path): len(path.read_text().splitlines()) for path in MODULES}
    assert {one: size for one, size in sizes.items() if size > LONGEST} == {}
    assert median(size for one, size in sizes.items() if not one.endswith("__init__.py")) <= MEDIAN


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_the_command_starts_light(option: str) -> None:
    script = (
        "import json, sys\nbefore = set(sys.modules)\nfrom probe.cli.main import main\n"
        f"main([{option!r}])\nprint(json.dumps(sorted(set(sys.modules) - before)))"
    )
    # -S: what the environment's own path files import at start is not ours to count.
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, '.')\n{script}"],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    loaded: list[str] = json.loads(done.stdout.splitlines()[-1])
    assert [module for module in loaded if module.split(".")[0] in HEAVY] == []
    assert len(loaded) <= MODULE_BUDGET, loaded


NEEDED_LATER = {
    "babel", "cryptography", "jinja2", "paho", "pyroute2", "rfc8785", "scapy", "starlette", "tuf", "uvicorn",
    "weasyprint",
}  # fmt: skip
"""What no verb needs before it does its work."""
HELP_BUDGET = 185
"""Modules that a verb may import before it does anything. Most need 60; `measure` knows the types of its options."""
BULK_BUDGET = 135
"""Modules that `colibri probe` may import to send packets: no event loop, no TLS, no signatures, no measurements."""

HANDED_OVER_BUDGET = 15
"""Modules that it may import where a daemon does the work: ours, and the interpreter's own socket."""


def loaded_by(*arguments: str) -> list[str]:
    """Modules that a command has imported when it ends, beyond those of a bare Python."""
    script = (
        "import contextlib, io, json, sys\nbefore = set(sys.modules)\nfrom probe.cli.main import main\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):\n"
        f"    main({list(arguments)!r})\nprint(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def verbs() -> list[str]:
    from probe.cli.main import offered

    return list(offered())


@pytest.mark.parametrize("verb", verbs())
def test_every_verb_begins_light(verb: str) -> None:
    loaded = loaded_by(verb, "--help")
    assert [module for module in loaded if module.split(".")[0] in NEEDED_LATER] == []
    assert len(loaded) <= HELP_BUDGET, loaded


def test_work_by_the_thousand_needs_no_event_loop(tmp_path: Path) -> None:
    (tmp_path / "colibri.toml").write_text(f'[probe]\nstate_dir = "{tmp_path}"\n')
    loaded = loaded_by("probe", "ports", "192.0.2.1", "--config", str(tmp_path / "colibri.toml"))  # which is refused
    assert "probe.engine.bulk.volley" in loaded
    assert {"asyncio", "ssl", "subprocess", *NEEDED_LATER}.isdisjoint(loaded)
    assert {"probe.measurements", "probe.model.exchange", "probe.model.canonical"}.isdisjoint(loaded)
    assert len(loaded) <= BULK_BUDGET, loaded


def test_work_that_a_daemon_does_needs_next_to_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(str(tmp_path / "control"), family=socket.AF_UNIX) as daemon:
        asked: list[bytes] = []

        def answer() -> None:
            client, _ = daemon.accept()
            with client, client.makefile("rb") as lines:
                asked.extend([lines.readline(), lines.readline()])
                client.sendall(b'{"row":{}}\n{"failed":false,"lost":0,"word":""}\n')

        serving = threading.Thread(target=answer)
        serving.start()
        (tmp_path / "colibri.toml").write_text(f'[control]\nsocket = "{tmp_path}/control"\n')
        monkeypatch.setenv("COLIBRI_CONFIG", str(tmp_path / "colibri.toml"))
        script = (
            "import sys\nbefore = set(sys.modules)\nfrom probe.cli.main import main\n"
            "main(['probe', 'ports', '192.0.2.1', '--json'])\nprint(*sorted(set(sys.modules) - before))"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
        )
        serving.join()
    row, modules = done.stdout.splitlines()
    loaded = modules.split()
    assert row == "{}"
    assert asked[1] == b'["192.0.2.1"]\n'
    assert "probe.cli.handover" in loaded
    needed = {"argparse", "asyncio", "json", "msgspec", "pathlib", "probe.agent", "probe.engine", "re", "socket", "ssl",
              "tomli", "typing"}  # fmt: skip
    assert {*needed, *NEEDED_LATER}.isdisjoint(loaded)
    assert len(loaded) <= HANDED_OVER_BUDGET, loaded


def test_no_path_of_a_machine_is_tracked() -> None:
    pattern = re.compile(r"(?<![\w./>-])/(?:work|root|home/\w+|Users/\w+)(?:/[\w.-]+|\b)")
    found = [f"{one}: {match[0]}" for one, text in texts() for match in pattern.finditer(text)]
    assert not found, listed(found)
    here = [one for one, text in texts() if len(ROOT.parts) > 2 and str(ROOT) in text]
    assert not here, listed(here)


def registry_hosts() -> set[str]:
    """Hosts that pip is set up with on this machine: they are the machine's affair, never the repository's."""
    urls = [os.environ.get(variable, "") for variable in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL")]
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(["/etc/pip.conf", Path("~/.config/pip/pip.conf").expanduser(), Path("~/.pip/pip.conf").expanduser()])
    for section in settings.sections():
        urls += [value for key, value in settings[section].items() if key.endswith("index-url")]
    return {host for url in " ".join(urls).split() if (host := urlsplit(url).hostname)}


def test_no_registry_is_tracked() -> None:
    setting = re.compile(r"(?:extra-)?index-url|--find-links|--trusted-host")
    hosts = registry_hosts()
    itself = name(Path(__file__))
    assert [one for one, text in texts() if one != itself and setting.search(text)] == []
    assert [f"{one}: {host}" for one, text in texts() for host in hosts if host in text] == []


@pytest.mark.parametrize("lock", ["probe", "collector", "dev"])
def test_locks_hold_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / f"locks/{lock}.txt").read_text()
    assert "://" not in text
    pins = re.findall(r"^\S.*", text, re.MULTILINE)
    assert pins
    assert [pin for pin in pins if "==" not in pin or not pin.endswith("\\")] == []


def undocumented(tree: ast.Module) -> Iterator[str]:
    """Public functions and classes without a docstring. (A method may have its words in the protocol it fulfils.)"""
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node):
            yield node.name


def test_everything_public_has_a_docstring() -> None:
    missing = []
    for path in MODULES:
        tree = ast.parse(path.read_text())
        missing += [] if ast.get_docstring(tree) else [name(path)]
        missing += [f"{name(path)}: {one}" for one in undocumented(tree)]
    assert not missing, listed(missing)


def test_every_data_file_of_the_package_is_shipped() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    shipped = {
        path
        for package, patterns in project["tool"]["setuptools"]["package-data"].items()
        for pattern in patterns
        for path in (ROOT / package.replace(".", "/")).glob(pattern)
    }
    data = {path for path in tracked() if path.is_relative_to(ROOT / "probe") and path.suffix != ".py"}
    missing = sorted(name(path) for path in data - shipped)
    assert not missing, listed(missing)


def test_the_makefile_has_the_promised_targets() -> None:
    text = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30).stdout
    promised = "install lint test test-long demo run lab lab-score bench lock clean"
    assert set(promised.split()) <= set(re.findall(r"make ([a-z-]+)", text))
