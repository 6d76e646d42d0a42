"""robots.txt: whom it speaks to and what it allows, by the examples and rules of RFC 9309."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.collector.counters.robots import MOST, Rules, rules


def allows(text: str, path: str) -> bool:
    return rules(text).allows(f"https://a.example{path}")


@pytest.mark.parametrize(
    ("text", "path", "allowed"),
    [
        ("", "/x", True),
        ("User-agent: *\nDisallow: /", "/x", False),
        ("User-agent: *\nDisallow:", "/x", True),
        ("User-agent: other\nDisallow: /", "/x", True),
        ("user-AGENT: Colibri-Collector/9\ndisallow: /a", "/a/b", False),
        ("User-agent: *\nDisallow: /\nUser-agent: colibri-collector\nAllow: /", "/x", True),
        ("User-agent: colibri-collector\nUser-agent: other\nDisallow: /x", "/x", False),
        ("User-agent: colibri-collector\n\nUser-agent: *\nDisallow: /", "/x", False),  # one group of both (2.1)
        ("User-agent: *\nDisallow: /\n\nUser-agent: colibri-collector\nSitemap: /s\nCrawl-delay: 5", "/x", True),
        (
            "User-agent: colibri-collector\nDisallow: /a\nUser-agent: o\nDisallow: /\nUser-agent: colibri-collector",
            "/b",
            True,
        ),
        ("Disallow: /", "/x", True),
        ("User-agent: *\nDisallow: /p # private\n", "/p", False),
        ("\ufeffUser-agent: *\r\nDisallow: /p\r\n", "/p", False),
        ("User-agent: *\nSitemap: x\nDisallow: /p", "/p", False),
        ("User-agent: *\nAllow: /p\nDisallow: /", "/page", True),
        ("User-agent: *\nAllow: /page\nDisallow: /*.htm", "/page.htm", False),
        ("User-agent: *\nAllow: /p\nDisallow: /p", "/p", True),
    ],
)
def test_whom_and_what(text: str, path: str, allowed: bool) -> None:
    assert allows(text, path) is allowed


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("/fish", "/fish.html", True),
        ("/fish", "/Fish", False),
        ("/fish*", "/fishheads/x", True),
        ("/fish/", "/fish", False),
        ("/*.php", "/a/b.php?x=1", True),
        ("/*.php$", "/a/b.php?x=1", False),
        ("/*.php$", "/a/b.php", True),
        ("/fish*.php", "/fishheads/catfish.php?p", True),
        ("/fish*.php", "/fish.PHP", False),
        ("/$", "/", True),
        ("/$", "/a", False),
        ("*", "/x", True),
        ("/a*a$", "/a", False),
        ("/a*b*c", "/aXbYc/z", True),
        ("/a*b*c", "/acb", False),
        ("/a?b", "/a?b=1", True),
        ("/%7Ejoe", "/~joe/x", True),
        ("/a%3cb", "/a%3Cb", True),
        ("/ツ", "/%E3%83%84", True),
        ("/a%2fb", "/a/b", False),
    ],
)
def test_patterns(pattern: str, path: str, fits: bool) -> None:
    assert allows(f"User-agent: *\nDisallow: {pattern}", path) is not fits


def test_a_delay_is_kept_and_a_silly_one_is_not() -> None:
    assert rules("User-agent: *\nCrawl-delay: 7.5").delay == 7.5
    assert rules("User-agent: *\nCrawl-delay: 1\nCrawl-delay: 999999999").delay == 86400
    assert [rules(f"User-agent: *\nCrawl-delay: {x}").delay for x in ("nan", "-1", "inf", "soon", "")] == [0.0] * 5


def test_a_robots_txt_without_end_is_read_as_far_as_must_be() -> None:
    text = "User-agent: *\n" + "#" * MOST + "\nDisallow: /"
    assert rules(text) == Rules()


@given(st.text(max_size=200), st.text(max_size=40))
def test_any_text_is_rules_and_any_path_an_answer(text: str, path: str) -> None:
    assert isinstance(rules(f"User-agent: *\n{text}").allows(f"https://a.example/{path}"), bool)


@given(st.text(st.sampled_from("ab*$/"), max_size=12), st.text(st.sampled_from("ab/"), max_size=12))
def test_patterns_fit_as_a_regular_expression_would(pattern: str, path: str) -> None:
    import re

    end = pattern.endswith("$")
    expression = "".join(".*" if c == "*" else re.escape(c) for c in pattern.removesuffix("$")) + ("$" if end else "")
    assert Rules(((False, "/" + pattern),)).allows(f"https://a.example/{path}") is (
        re.match("/" + expression, f"/{path}") is None
    )
