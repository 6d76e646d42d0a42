"""What is asked of a line for one trigger: how much, at which TTLs, in which order."""

from __future__ import annotations

from random import Random

from probe.measurements._tcp.probe import Plan, ask
from probe.measurements._tcp.seen import Seen
from probe.measurements._tcp.triggers import Trigger, path
from probe.model.exchange import Exchange, PauseStep, Step, TcpStep
from tests.measurements.simboxes import Dropper, Resetter
from tests.measurements.simhosts import Web, named
from tests.measurements.simnet import Internet, Network, drive
from tests.measurements.worlds import BANNED, CONTROL, SERVER, net


def run(
    network: Network, *, locate: bool = False, control: str = CONTROL, seed: int = 1
) -> tuple[Seen, list[list[Step]]]:
    """All that was seen, and the batches."""
    plan = Plan(Trigger("http", "banned.example", 80), SERVER, "good.example", control, 3, locate)
    batches: list[list[Step]] = []
    return drive(ask(plan, Random(seed)), Internet(network, seed), batches), batches


def names(batch: list[Step]) -> list[str | None]:
    return [named(step.payload) for step in batch if isinstance(step, TcpStep)]


def test_a_clean_line_is_asked_little() -> None:
    seen, batches = run(net())
    assert sum(len(batch) for batch in batches) == 3 + 3 + 6 + 6 + 1 + 3  # twins, trials, our server, short, one, twins
    assert (len(seen.before), len(seen.between), len(seen.after)) == (3, 1, 3)
    assert names(batches[0]) == names(batches[-1]) == ["good.example"] * 3
    assert seen.swept == []


def test_a_server_that_does_not_answer_twins_is_asked_nothing_more() -> None:
    _, batches = run(net(Web(port="filtered")))
    assert len(batches) == 1


def test_trials_differ_in_ttl_and_one_asks_for_its_routers() -> None:
    seen, batches = run(net())
    trials = [step for step in batches[1] if isinstance(step, TcpStep)][:3]
    assert [step.ttl for step in trials] == [64, 57, 50]
    assert [bool(step.path) for step in trials] == [True, False, False]
    assert seen.routers == {1: "0.0.0.1"} | {hop: f"198.51.0.{hop}" for hop in range(2, 9)}


def test_without_a_server_of_ours_none_is_asked() -> None:
    seen, batches = run(net(), control="")
    assert seen.control_trials == []
    assert {step.address for batch in batches for step in batch if isinstance(step, TcpStep)} == {SERVER}


def test_triggers_never_share_a_batch_of_the_sweep_with_twins() -> None:
    seen, batches = run(net(boxes=(Resetter(at=4, names=BANNED),)))
    swept = [names(batch) for batch in batches if any(isinstance(s, TcpStep) and s.ttl == 1 for s in batch)]
    assert swept
    assert all(len(set(batch)) == 1 for batch in swept)
    assert seen.arrives == 9
    assert max(ttl for ttl, _ in seen.swept_reactions) == 8  # nothing is to be learnt from triggers that arrive


def test_the_sweep_goes_on_until_a_twin_arrives() -> None:
    seen, _ = run(net(back=-6, hops=14), locate=True)
    assert seen.arrives == 14


def test_residual_blocking_is_waited_for_and_noted() -> None:
    seen, batches = run(net(boxes=(Dropper(at=4, names=BANNED, residual=5, size=3),)))
    assert seen.residual
    assert max(seen.residual) <= 6
    assert any(isinstance(step, PauseStep) for batch in batches for step in batch)
    assert not seen.lasting


def test_triggers_that_shut_each_other_out_are_sent_one_by_one() -> None:
    network = net(jitter=0.02, boxes=(Dropper(at=4, names=BANNED, residual=3, size=3),))
    together = {len([b for b in run(network, seed=seed)[1] if names(b) == ["banned.example"]]) for seed in range(20)}
    assert 0 in together
    assert max(together) > 2
    for seed in range(20):
        seen, _ = run(network, seed=seed)
        assert seen.silent() >= 3
        assert not seen.lasting


def test_a_server_that_bans_who_opens_many_connections_is_recognised() -> None:
    for most in (6, 11):  # connections in ten seconds: controls and trials open twelve
        seen, _ = run(net(Web(most=most, ban=20)))
        assert seen.shuts_out_many(3)
        assert seen.swept == []
        assert seen.waited < 100


def test_a_filter_that_remembers_is_no_ban() -> None:
    seen, _ = run(net(boxes=(Dropper(at=4, names=BANNED, residual=5, size=3),)))
    assert len(seen.burst) == 13
    assert not seen.shuts_out_many(3)


def test_all_waiting_together_is_bounded() -> None:
    seen, _ = run(net(boxes=(Dropper(at=4, names=BANNED, residual=100, size=3),)))
    assert 100 < seen.waited <= 300


def test_blocking_that_lasts_ends_the_run() -> None:
    seen, batches = run(net(boxes=(Dropper(at=4, names=BANNED, residual=1000, size=3),)))
    assert seen.lasting
    assert seen.after == []
    assert sum(step.seconds for batch in batches for step in batch if isinstance(step, PauseStep)) == 126


def test_more_trials_where_they_disagree() -> None:
    network = net(boxes=(Resetter(at=4, names=BANNED, probability=0.4),))
    asked = {len(run(network, seed=seed)[0].trials) for seed in range(9)}
    assert asked > {6}
    assert asked <= {3, 6, 9}


def test_chance_is_ruled_out_by_more_pairs_where_routers_are_silent() -> None:
    box = Resetter(at=7, names=BANNED)
    quiet, _ = run(net(silent=frozenset(range(2, 9)), boxes=(box,)))
    loud, _ = run(net(boxes=(box,)))
    assert quiet.short_of_target()
    assert len(quiet.swept_twins) > len(loud.swept_twins)


def test_in_a_drop_twins_and_triggers_take_turns_at_going_first() -> None:
    _, batches = run(net(boxes=(Dropper(at=6, names=BANNED),)))
    near = [batch for batch in batches if any(isinstance(step, TcpStep) and step.ttl == 6 for step in batch)]
    swept = [set(names(batch)).pop() for batch in near if len(set(names(batch))) == 1]
    order = [swept[i : i + 2] for i in range(0, len(swept) - 1, 2)]
    assert ["good.example", "banned.example"] in order
    assert ["banned.example", "good.example"] in order


def test_what_the_simulated_kernel_says_about_a_path_is_read_as_the_engines() -> None:
    step = TcpStep(address=SERVER, port=80, payload=b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", path=(1, 2, 3))
    (exchange,) = Internet(net(short_quotes=True), 1).perform([step])
    assert isinstance(exchange, Exchange)
    assert path(exchange) == {1: "0.0.0.1", 2: "198.51.0.2", 3: "198.51.0.3"}
