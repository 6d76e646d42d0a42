"""Jobs: what the lists and the configuration make of each other."""

from __future__ import annotations

import pytest

from probe.agent.jobs import host_of, jobs
from probe.model.config import Config, SafetyConfig, ScheduleConfig, TargetEntry


def entry(target: str = "example.com", **fields: object) -> TargetEntry:
    return TargetEntry(target, **{"measurements": ["dns_injection"], **fields})  # type: ignore[arg-type]


def test_a_target_becomes_a_job_of_each_kind_with_the_options_that_it_takes() -> None:
    one = entry(group="press", address="192.0.2.1", port=8080, options={"control_name": "example.org"}, every=60)
    (job,) = jobs([one], Config())
    assert job.measurement == "dns_injection"
    assert job.every == 60
    assert job.host == "192.0.2.1"
    assert job.options["control_name"] == "example.org"
    assert job.options["target"] == "example.com"
    assert "port" not in job.options  # of the web server: dns_injection's is its resolver's


def test_the_configuration_gives_the_rhythm_and_chooses_the_kinds() -> None:
    config = Config(schedule=ScheduleConfig(every=0.0, measurements=["dns-injection"]))
    (job,) = jobs([entry(measurements=[])], config)
    assert job.measurement == "dns_injection"
    assert job.every == 1.0
    assert jobs([entry()], Config(schedule=ScheduleConfig(measurements=["tcp_reset"]))) == []


def test_a_sensitive_category_is_off_until_the_volunteer_opts_in() -> None:
    assert jobs([entry(category="religion")], Config()) == []
    assert len(jobs([entry(category="religion")], Config(safety=SafetyConfig(sensitive=["religion"])))) == 1


def test_keys_last_and_tell_jobs_apart() -> None:
    both = [entry(options={"resolver": f"192.0.2.{n}"}) for n in (1, 2, 1)]
    made = jobs(both, Config())
    assert len({job.key for job in made}) == len(made) == 2
    assert [job.key for job in jobs(both, Config())] == [job.key for job in made]


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("example.com", "example.com"),
        ("https://Example.com:8443/a?b", "example.com"),
        ("192.0.2.1:443", "192.0.2.1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("https://[2001:db8::1", "https://[2001:db8::1"),
    ],
)
def test_the_host_of_a_target(target: str, host: str) -> None:
    assert host_of(target) == host
