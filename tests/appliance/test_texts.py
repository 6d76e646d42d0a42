"""Every text is there in three languages, with the same words to fill in."""

from __future__ import annotations

import re

import pytest

from probe.appliance.texts import LANGUAGES, TEXTS, say


@pytest.mark.parametrize("name", TEXTS)
def test_all_languages_say_it(name: str) -> None:
    holes = {language: sorted(re.findall(r"\{(\w+)\}", TEXTS[name][language])) for language in LANGUAGES}
    assert len({tuple(found) for found in holes.values()}) == 1
    words = dict.fromkeys(holes["en"], "WORD")
    said = [say(name, language, **words) for language in LANGUAGES]
    assert len(set(said)) == 3 or name == "version"
    assert re.search("[\u0600-\u06ff]", said[1])
    assert not re.search("[\u0600-\u06ff]", said[0] + said[2])
