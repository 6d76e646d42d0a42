"""The pages agree with the program: the configuration's reference is that of the types, and links lead somewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest

from probe.lab import broker, kinds, scenario, score
from probe.lab.lab import Lab
from probe.model import canonical, feed
from probe.model.config import Config, TargetEntry
from probe.model.finding import Finding
from probe.model.heartbeat import Heartbeat

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
CONFIGURATION = (ROOT / "docs/configuration.md").read_text()


def description(hint: Any) -> str:
    """The option's words; a type may carry words of its own, and the outermost win."""
    if get_origin(hint) is not Annotated:
        return ""
    said = [meta.description for meta in get_args(hint)[1:] if isinstance(meta, msgspec.Meta) and meta.description]
    return said[-1] if said else description(get_args(hint)[0])


def nested(hint: Any) -> type[Any] | None:
    """The struct that an option holds (``mqtt.tls``), if any."""
    if get_origin(hint) is Annotated:
        return nested(get_args(hint)[0])
    if get_origin(hint) in (UnionType, Union):
        return next((found for part in get_args(hint) if (found := nested(part))), None)
    return hint if isinstance(hint, type) and issubclass(hint, msgspec.Struct) else None


def toml(value: object) -> str:
    return "absent" if value is None or isinstance(value, msgspec.Struct) else msgspec.json.encode(value).decode()


def tables(kind: type[Any], path: str = "") -> Iterator[tuple[str, str, list[str]]]:
    """(section, its words, rows of the reference) of a configuration type and all it holds."""
    hints = get_type_hints(kind, include_extras=True)
    rows, below = [], []
    for field in msgspec.structs.fields(kind):
        if inner := nested(hints[field.name]):
            below.append((inner, f"{path}.{field.name}".lstrip(".")))
        if not inner or path:
            default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
            rows.append(f"| `{field.name}` | `{toml(default)}` | {description(hints[field.name])} |")
    if path:
        yield path, " ".join((kind.__doc__ or "").split()), rows
    for inner, name in below:
        yield from tables(inner, name)


def reference() -> str:
    """The reference part of docs/configuration.md, as it has to stand there."""
    parts = []
    for path, words, rows in tables(Config):
        parts.append("\n".join([f"### [{path}]", "", words, "", "| key | default | meaning |", "|---|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def test_the_reference_of_the_configuration_is_that_of_the_types() -> None:
    expected = reference()
    assert "| `resend_after` | `30.0` |" in expected
    stands = CONFIGURATION.partition("<!-- reference -->\n")[2].partition("<!-- end of reference -->")[0].strip() + "\n"
    assert stands == expected, f"docs/configuration.md must say:\n{expected}"


def test_every_option_of_the_configuration_has_words() -> None:
    rows = [row for _, _, rows in tables(Config) for row in rows]
    assert rows
    assert [row for row in rows if row.endswith("|  |")] == []


def test_every_key_of_a_target_is_on_the_page() -> None:
    keys = [field.encode_name for field in msgspec.structs.fields(TargetEntry)]
    assert [key for key in keys if f"| `{key}` |" not in CONFIGURATION] == []


@pytest.mark.parametrize("example", re.findall(r"```toml\n(.*?)```", CONFIGURATION, re.DOTALL))
def test_the_examples_are_valid(example: str) -> None:
    document = tomllib.loads(example)
    kind = TargetEntry if "targets" in document and isinstance(document["targets"], list) else Config
    entries = document["targets"] if kind is TargetEntry else [document]
    for entry in entries:
        msgspec.convert(entry, kind)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    missing = [link for link in links if link and not (page.parent / link).exists()]
    assert not missing, f"{page.name} links to {missing}"


FEED = (ROOT / "docs/feed.md").read_text()
MESSAGES: dict[str, type[msgspec.Struct]] = {
    "colibri.finding/1": Finding, "colibri.heartbeat/1": Heartbeat, "colibri.info/1": feed.Info,
    "colibri.state/1": feed.State, "colibri.stored/1": feed.Stored, "colibri.public.state/1": feed.PublicState,
    "colibri.public.event/1": feed.PublicEvent,
}  # fmt: skip


def examples(text: str) -> dict[str, dict[str, Any]]:
    """The JSON examples of a page by their schema."""
    found = [msgspec.json.decode(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    return {one["schema"]: one for one in found}


@pytest.mark.parametrize("schema", MESSAGES)
def test_the_feed_s_examples_are_whole_and_valid(schema: str) -> None:
    example = examples(FEED)[schema]
    decoded = msgspec.convert(example, MESSAGES[schema])
    assert msgspec.to_builtins(decoded) == example, "every field, and no other"


def test_the_feed_s_finding_is_a_real_one_signed_by_its_probe() -> None:
    finding, heartbeat = examples(FEED)["colibri.finding/1"], examples(FEED)["colibri.heartbeat/1"]
    assert canonical.verify(finding)
    assert not canonical.verify(finding | {"verdict": "clean"})
    assert canonical.verify(heartbeat)


def test_the_readme_s_finding_is_shortened_and_nothing_else() -> None:
    whole = examples(FEED)["colibri.finding/1"]
    short = examples((ROOT / "README.md").read_text())["colibri.finding/1"]
    assert short.keys() < whole.keys()
    msgspec.convert(whole | short, Finding)


def test_the_feed_s_topics_are_those_of_the_program() -> None:
    probe, kind = "<probe>", "<measurement>"
    topics = [feed.availability(probe), feed.info(probe), feed.heartbeat(probe), feed.finding(probe, kind),
              feed.evidence(probe, "<id>"), feed.stored(probe),
              feed.state(probe, kind, "x").replace(feed.short_hash("x"), "<target>")]  # fmt: skip
    state, event = feed.public_state("<cc>", "<operator>", "<target>"), feed.public_incident("opened")
    for text in ("<operator>", "<target>"):
        state = state.replace(feed.short_hash(text), text)
    topics += [state, event.replace("opened", "<event>"), feed.public_case("opened").replace("opened", "<event>")]
    assert sorted(re.findall(r"^\| `(colibri/v1/.*?)`", FEED, re.MULTILINE)) == sorted(topics)


def test_what_the_safety_page_names_exists() -> None:
    page = (ROOT / "docs/volunteer-safety.md").read_text()
    named = set(re.findall(r"`(probe/[\w/]+(?:\.py)?)", page))
    assert len(named) > 10
    for module in named:
        assert (ROOT / module).exists(), module
        tests = module.replace("probe/", "tests/", 1)
        folder, _, file = tests.rpartition("/")
        assert (ROOT / folder / f"test_{file}").exists() or (ROOT / tests).is_dir(), f"{module} is not tested"


def test_the_safety_page_s_figures_are_the_defaults() -> None:
    page = " ".join((ROOT / "docs/volunteer-safety.md").read_text().split())
    safety = Config().safety
    assert f"`packets_per_second` ({safety.packets_per_second})" in page
    assert f"`target_packets_per_second` ({safety.target_packets_per_second} to one address)" in page
    assert f"`bytes_per_day` ({safety.bytes_per_day // 10**6} MB" in page
    assert f"`target_spacing` ({safety.target_spacing:.0f} s)" in page


def test_the_lab_page_names_every_box() -> None:
    page = (ROOT / "docs/lab.md").read_text()
    table = page.partition("| box | does |")[2].partition("\n\n")[0]
    tags = {box.__struct_config__.tag for box in get_args(kinds.Box)}
    assert set(re.findall(r"`(\w+)`", table)) == tags


def own_scenario(folder: Path) -> Path:
    (block,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/lab.md").read_text(), re.DOTALL)
    path = folder / "mine.toml"
    path.write_text(block)
    return path


@pytest.mark.lab
def test_the_lab_page_s_scenario_finds_what_it_says(tmp_path: Path) -> None:
    (mine,) = scenario.read(own_scenario(tmp_path))
    with Lab.up(mine) as lab:
        observation = score.observe(lab, mine.expect[0], score.command)
    assert observation.outcome.error == ""
    assert (observation.technique_right, observation.place_right) == (True, True)


@pytest.mark.loopback
def test_the_reader_in_python_hears_a_finding(tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", FEED, re.DOTALL)
    assert len([line for line in program.splitlines() if line]) <= 15
    port = broker.free_port()
    config = tmp_path / "mosquitto.conf"
    config.write_text(f"user root\nlistener {port} 127.0.0.1\nallow_anonymous true\n")
    mosquitto = shutil.which("mosquitto", path="/usr/bin:/usr/sbin")
    assert mosquitto
    with (
        subprocess.Popen([mosquitto, "-c", config], stderr=subprocess.DEVNULL) as server,
        subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(1)\n" + program, "127.0.0.1", str(port)],
            stdout=subprocess.PIPE, text=True,
        ) as reader,
    ):  # fmt: skip
        try:
            end = time.monotonic() + 15
            while not broker.listens(port):
                assert time.monotonic() < end
                time.sleep(0.01)
            finding = examples(FEED)["colibri.finding/1"]
            subprocess.run(
                ["mosquitto_pub", "-p", str(port), "-r", "-q", "1", "-t", feed.finding("sale", finding["measurement"]),
                 "-m", msgspec.json.encode(finding).decode()], check=True, timeout=15,
            )  # fmt: skip
            assert reader.stdout is not None
            assert reader.stdout.readline() == "Sale press.example interfered dns_injection\n"
        finally:
            reader.kill()
            server.terminate()
