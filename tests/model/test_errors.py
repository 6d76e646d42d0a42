"""Errors: what the command line ends with, and the words that a person gets."""

from __future__ import annotations

import pytest

from probe.model import errors
from probe.model.errors import CannotMeasure, ColibriError, ConfigError, MalformedRecord, Unanswered, UsageError

STATUS = {
    "ColibriError": 1, "UsageError": 2, "ConfigError": 2, "CannotMeasure": 1, "NoRoute": 1, "NoPermission": 1,
    "ForbiddenDestination": 1, "BudgetExhausted": 1, "MalformedPacket": 1, "MalformedRecord": 1, "ReplayMismatch": 1,
    "StoreError": 1, "Unanswered": 1,
}  # fmt: skip


def test_every_error_has_the_exit_status_of_contract_2() -> None:
    found = {name: kind.exit_status for name, kind in vars(errors).items()
             if isinstance(kind, type) and issubclass(kind, ColibriError)}  # fmt: skip
    assert found == STATUS


def test_the_tree_that_the_page_draws_is_the_real_one() -> None:
    assert errors.__doc__
    for name in STATUS:
        assert name in errors.__doc__
    for name in ("NoRoute", "NoPermission", "ForbiddenDestination", "BudgetExhausted"):
        assert issubclass(vars(errors)[name], CannotMeasure)
    assert issubclass(ConfigError, UsageError)


@pytest.mark.parametrize("kind", [ConfigError, MalformedRecord, Unanswered])
def test_an_error_about_a_file_says_where(kind: type[ConfigError | MalformedRecord | Unanswered]) -> None:
    error = kind("colibri.toml: mqtt.port", "Expected `int`")
    assert str(error) == "colibri.toml: mqtt.port: Expected `int`"
    assert (error.where, error.what) == ("colibri.toml: mqtt.port", "Expected `int`")


def test_what_can_not_be_measured_says_how_to_mend_it() -> None:
    error = CannotMeasure("no route", "plug the cable in")
    assert str(error) == "no route (plug the cable in)"
    assert (error.what, error.mend) == ("no route", "plug the cable in")
    assert str(CannotMeasure("no route")) == "no route"
