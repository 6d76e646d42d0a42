"""The words of a cover: nothing is without them, and every reader is told the same facts."""

from __future__ import annotations

from typing import get_args

from probe import measurements
from probe.cli.collector_dossier import READERS
from probe.collector.dossier.excluded import Name, Unsure
from probe.collector.dossier.phrases import CONFOUNDERS, LETTERS, METHODS, UNSURE, Recipient, Section


def test_every_confounder_doubt_and_measurement_has_words() -> None:
    assert CONFOUNDERS.keys() == set(get_args(Name))
    assert UNSURE.keys() == set(get_args(Unsure))
    assert METHODS.keys() == set(measurements.names())


def test_every_reader_gets_the_facts_first_and_nothing_is_kept_from_anybody() -> None:
    assert LETTERS.keys() == set(get_args(Recipient)) == set(READERS)
    needed = set(get_args(Section)) - {"cite", "words"}
    for letter in LETTERS.values():
        assert letter.sections[0] == "facts"
        assert needed <= set(letter.sections) <= set(get_args(Section))
        assert len(set(letter.sections)) == len(letter.sections)


def test_readers_are_told_it_in_their_own_order() -> None:
    assert len({letter.sections for letter in LETTERS.values()}) == len(LETTERS)
