"""Secrets: read from files, refused with the option's name and never shown."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from probe.collector.notify.secrets import first_line, webhook_key
from probe.model.errors import ConfigError

KEY = bytes(range(32))


def test_the_first_line_is_the_secret(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("  tk_abc \nfor the newsroom\n")
    assert first_line(str(path), "x") == "tk_abc"


def test_a_webhook_s_secret_is_as_standard_webhooks_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(f"whsec_{base64.b64encode(KEY).decode()}\n")
    assert webhook_key(str(path), "x") == KEY


@pytest.mark.parametrize(
    "content",
    [b"", b"\nlater\n", b"secret", b"whsec_%%%", b"whsec_" + base64.b64encode(b"short"), b"\xff\xfe",
     b"whsec_" + base64.b64encode(b"x" * 65), base64.b64encode(KEY)],
)  # fmt: skip
def test_what_is_no_secret_is_refused_and_not_shown(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"^collector\.notify\[0\]\.secret_file: ") as caught:
        webhook_key(str(path), "collector.notify[0].secret_file")
    assert str(path) in str(caught.value)
    assert base64.b64encode(KEY).decode() not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        first_line(str(tmp_path / "none"), "x")
