"""The pages agree with the program: the configuration's reference is that of the types, and links lead somewhere."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest

from probe.model.config import Config, TargetEntry

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
