"""The page over real HTTP: three languages, changes with the code, and everything that is refused."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from probe.model.errors import UsageError
from probe.model.home import Change, Changed
from probe.page import server
from probe.page.server import AT_ONCE, listener
from probe.page.words import LANGUAGES, words
from tests.page.conftest import Served, view

pytestmark = pytest.mark.loopback


@pytest.mark.parametrize("code", LANGUAGES)
def test_each_language_has_its_address(served: Served, code: str) -> None:
    status, headers, body = served.get(f"/{code}")
    assert status == 200
    assert f'<html lang="{code}"' in body
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert int(headers["content-length"]) == len(body.encode())


def test_the_root_speaks_the_browser_s_language(served: Served) -> None:
    status, headers, body = served.get("/", Accept_Language="ar-MA,fr;q=0.5")
    assert (status, headers["vary"]) == (200, "Accept-Language")
    assert '<html lang="ar" dir="rtl">' in body


def test_headers_leave_nothing_to_others(served: Served) -> None:
    for path in ("/", "/fr", "/page.css", "/icon.svg", "/nothing"):
        _, headers, _ = served.get(path)
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none';")
        assert "unsafe" not in policy
        assert "script" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"
        assert headers["server"] == "colibri"


def test_head_is_get_without_its_body(served: Served) -> None:
    status, headers, body = served.get("/en", method="HEAD")
    assert (status, body) == (200, "")
    assert int(headers["content-length"]) > 1000


@pytest.mark.parametrize("path", ["/nothing", "/fr/", "/en/change", "/../pyproject.toml", "/texts/fr.toml", "//x", "*"])
def test_what_is_not_there(served: Served, path: str) -> None:
    status, _, body = served.get(path)
    assert status == 404
    assert "alarm" in body


def test_a_change_with_the_code_then_the_page_says_so(served: Served) -> None:
    status, headers, _ = served.post("/fr/change", "code=K7QM-3XWD&action=pause", Origin="http://colibri.local")
    assert (status, headers["location"]) == (303, "/fr?done=paused")
    assert served.daemon.asked == [Change(code="K7QM-3XWD", paused=True, source="127.0.0.1")]
    _, _, body = served.get("/fr?done=paused")
    assert words("fr")("said.paused") in body


def test_boxes_become_choices(served: Served) -> None:
    served.post("/en/change", "code=x&action=choose&listed=politics&listed=religion&on=religion&on=unheard-of")
    assert served.daemon.asked[0].categories == {"politics": False, "religion": True}
    assert served.daemon.asked[0].paused is None
    served.post("/en/change", "code=x&action=resume&listed=politics&on=politics")
    assert served.daemon.asked[1].categories == {}


@pytest.mark.parametrize("query", ["?done=<script>", "?done=code", "?done=paused&x=1", "?x", "?done="])
def test_the_address_can_put_no_words_into_the_page_s_mouth(served: Served, query: str) -> None:
    status, _, body = served.get(f"/en{query}")
    assert status == 200
    assert 'class="notice"' not in body


@pytest.mark.parametrize(
    ("refused", "status"), [("code", 403), ("later", 429), ("operator", 409)]
)
def test_a_refusal_is_told_in_words(served: Served, refused: str, status: int) -> None:
    served.daemon.answer = Changed(refused, 41.2)  # type: ignore[arg-type]
    got, _, body = served.post("/en/change", "code=x&action=pause")
    assert got == status
    assert words("en")(f"said.{refused}", n=42) in body


def test_a_daemon_that_fails_or_is_gone(served: Served, tmp_path: Path) -> None:
    served.daemon.answer = OSError("the disk is full")
    status, _, body = served.post("/en/change", "code=x&action=pause")
    assert status == 503
    assert words("en")("said.failed") in body
    served.daemon.view = None
    (tmp_path / "COLIBRI-STATUS.txt").write_bytes(b"\xef\xbb\xbfLine 3 is <wrong>\r\n" + b"\n" * 20000)
    _, _, body = served.get("/en")
    assert "does not answer" in body
    assert "<pre dir=\"auto\">Line 3 is &lt;wrong&gt;</pre>" in body


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"}],
)
def test_a_form_of_another_site_changes_nothing(served: Served, headers: dict[str, str]) -> None:
    status, _, body = served.post("/fr/change", "code=K7QM-3XWD&action=pause", **headers)
    assert status == 403
    assert words("fr")("said.forged") in body
    assert served.daemon.asked == []


@pytest.mark.parametrize("host", ["evil.example", "colibri.local.evil.example", "", "192.168.1.1"])
def test_a_name_that_was_made_to_point_here_shows_nothing(served: Served, host: str) -> None:
    for status, _, body in (served.get("/en", Host=host), served.post("/en/change", "code=x&action=pause", Host=host)):
        assert status == 421
        assert "p-abcdefghij" not in body
    assert served.daemon.asked == []


def test_strangers_are_shown_nothing(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "at_home", lambda _: False)
    for status, _, body in (served.get("/en"), served.post("/en/change", "code=x&action=pause")):
        assert status == 403
        assert "p-abcdefghij" not in body
    assert served.daemon.asked == []


@pytest.mark.parametrize(
    "form",
    [
        "", "x", "code=x", "action=pause", "code=x&action=reboot", "code=x&code=y&action=pause", "code=x&action=pause&",
        "code=" + "x" * 65 + "&action=pause", "code=x&action=choose&" + "&".join(f"listed={n}" for n in range(101)),
        "&".join(f"a{n}=1" for n in range(300)),
    ],
)  # fmt: skip
def test_what_is_no_form_of_ours_changes_nothing(served: Served, form: str) -> None:
    status, _, _ = served.post("/en/change", form)
    assert status == 400
    assert served.daemon.asked == []


@pytest.mark.parametrize("length", ["-1", "x", "99999999999", "", "1e3", "٣"])
def test_a_length_that_is_none(served: Served, length: str) -> None:
    status, _, _ = served.post("/en/change", "code=x&action=pause", Content_Length=length)
    assert status == 400
    assert served.daemon.asked == []


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"])
def test_other_methods(served: Served, method: str) -> None:
    assert served.send(f"{method} / HTTP/1.1\r\nHost: colibri.local\r\n\r\n".encode()).startswith(b"HTTP/1.0 501")


@given(data=st.one_of(
    st.binary(max_size=300),
    st.builds(lambda path, header: b"GET /" + path + b" HTTP/1.1\r\n" + header + b"\r\n\r\n", st.binary(max_size=40),
              st.binary(max_size=100)),
))  # fmt: skip
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_any_bytes_are_survived(served: Served, data: bytes) -> None:
    answer = served.send(data)
    assert answer == b"" or answer.startswith((b"HTTP/1.0 ", b"400 ", b"<", b"505 ", b"414 ")) or data
    assert served.get("/en")[0] == 200
    assert served.daemon.asked == []


def test_one_that_says_nothing_is_let_go_and_holds_up_nobody(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "WITHIN", 0.5)
    slow = [socket.create_connection(("127.0.0.1", served.port), 10) for _ in range(AT_ONCE)]
    deadline = time.monotonic() + 20
    for link in slow:
        link.settimeout(20)
        link.sendall(b"GET / HT") if link is slow[0] else None
        assert link.recv(100) == b"" or time.monotonic() < deadline
        link.close()
    while served.get("/en")[0] != 200:
        assert time.monotonic() < deadline


def test_it_ends_when_nobody_asks_and_not_before(serve: Callable[..., Served]) -> None:
    one = serve(idle=1.0)
    assert one.get("/en")[0] == 200
    one.thread.join(20)
    assert not one.thread.is_alive()


def test_pages_are_made_side_by_side(served: Served) -> None:
    entered = threading.Barrier(3)

    def slow() -> object:
        entered.wait(10)  # breaks, if one has to wait for the other
        return view()

    served.daemon.look = slow  # type: ignore[assignment,method-assign]
    results: list[int] = []
    threads = [threading.Thread(target=lambda: results.append(served.get("/en")[0])) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert results == [200, 200, 200]


@pytest.mark.parametrize("address", ["", "80", "localhost", ":80", "127.0.0.1:x", "127.0.0.1:70000", "127.0.0.1:-1"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(UsageError, match="--listen"):
        listener(address, {})


def test_it_listens_where_it_is_told() -> None:
    with listener("127.0.0.1:0", {}) as at:
        assert at.getsockname()[0] == "127.0.0.1"
    with listener("127.0.0.1:0", {"LISTEN_PID": "1", "LISTEN_FDS": "1"}) as at:  # meant for another process
        assert at.getsockname()[0] == "127.0.0.1"


def test_systemd_s_socket_is_taken(tmp_path: Path) -> None:
    script = (
        "import os, sys\nos.dup2(int(sys.argv[1]), 3)\nos.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1')\n"
        "from probe.cli.main import main\nmain(['page', 'run', '--idle', '1', '--daemon', '/nowhere', '--card', '/x'])"
    )
    with socket.create_server(("127.0.0.1", 0)) as opened:
        os.set_inheritable(opened.fileno(), True)
        process = subprocess.Popen([sys.executable, "-c", script, str(opened.fileno())], pass_fds=[opened.fileno()])
        with socket.create_connection(opened.getsockname(), 30) as link:
            link.sendall(b"GET /page.css HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert link.recv(100).startswith(b"HTTP/1.0 200")
        assert process.wait(60) == 0
