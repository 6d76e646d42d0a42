"""Who gets a certificate: codes once, names by the server, renewals in time, and nothing lost by a lost answer."""

from __future__ import annotations

import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from probe.collector.enrol.authority import Authority
from probe.collector.enrol.desk import Desk
from probe.collector.instants import DAY, HOUR, to_text
from probe.model.enrol import Broker, Enrolled, First, Refusal, Renewal
from probe.model.errors import UsageError
from tests.collector.enrol.conftest import START, Office, csr, der


def enrolled(answer: Enrolled | Refusal) -> Enrolled:
    assert isinstance(answer, Enrolled), answer
    return answer


def reason(answer: Enrolled | Refusal) -> str:
    assert isinstance(answer, Refusal), answer
    return answer.reason


def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def test_a_code_gives_a_name_that_the_server_chose(office: Office) -> None:
    answer = enrolled(office.desk.first(First(office.code(), csr(name="collector")), START))
    certificate = x509.load_pem_x509_certificate(answer.certificate.encode())
    assert certificate.subject.rfc4514_string() == f"CN={answer.name}"
    assert answer.name.startswith("p-")
    assert len(answer.name) == 12
    assert answer.broker == Broker("hub.example", 8883)
    assert (answer.now, answer.expires) == (to_text(START), to_text(START + 30 * DAY))
    assert to_text(START + 19 * DAY) < answer.renew_after < to_text(START + 21 * DAY)


def test_a_code_is_good_once(office: Office) -> None:
    code = office.code()
    enrolled(office.desk.first(First(code, csr()), START))
    assert reason(office.desk.first(First(code, csr()), START)) == "bad_code"
    assert len(office.register.probes()) == 1


def test_the_same_device_may_ask_again_if_the_answer_was_lost(office: Office) -> None:
    code, own = office.code(), key()
    first = enrolled(office.desk.first(First(code, csr(own)), START))
    again = enrolled(office.desk.first(First(code, csr(own)), START + HOUR))
    assert (again.name, again.certificate) == (first.name, first.certificate)
    assert len(office.register.probes()) == 1


def test_two_devices_at_once_with_one_code(office: Office) -> None:
    code = office.code()
    answers: list[Enrolled | Refusal] = []

    def ask() -> None:
        answers.append(office.desk.first(First(code, csr()), START))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(answer, Enrolled) for answer in answers) == 1


@pytest.mark.parametrize("code", ["", "AAAA-BBBB-CCCC-DDDD", "x" * 64, "é"])
def test_codes_that_are_none(office: Office, code: str) -> None:
    office.code()
    assert reason(office.desk.first(First(code, csr()), START)) == "bad_code"


def test_a_code_expires_also_for_who_used_it(office: Office) -> None:
    code, own = office.code(life=DAY), key()
    assert reason(office.desk.first(First(code, csr()), START + DAY + 1)) == "bad_code"
    enrolled(office.desk.first(First(code, csr(own)), START))
    assert reason(office.desk.first(First(code, csr(own)), START + 2 * DAY)) == "bad_code"


def test_a_request_that_is_none_costs_no_code(office: Office) -> None:
    code = office.code()
    assert reason(office.desk.first(First(code, "-----BEGIN X-----\n"), START)) == "bad_request"
    enrolled(office.desk.first(First(code, csr()), START))


def test_the_register_holds_no_code_in_the_clear(office: Office) -> None:
    code = office.code()
    content = b"".join(path.read_bytes() for path in (office.authority.crl.parent).iterdir())
    assert code.encode() not in content
    assert code.replace("-", "").encode() not in content
    assert b"Amina, Oran" in content


def test_a_label_has_an_end(office: Office) -> None:
    with pytest.raises(UsageError, match="200 letters"):
        office.code("x" * 201)


def test_a_certificate_is_renewed_for_a_new_key_under_the_same_name(office: Office) -> None:
    first = enrolled(office.desk.first(First(office.code(), csr()), START))
    then = START + 20 * DAY
    second = enrolled(office.desk.renew(Renewal(csr()), der(first), then))
    assert second.name == first.name
    assert second.certificate != first.certificate
    assert second.expires == to_text(then + 30 * DAY)
    third = enrolled(office.desk.renew(Renewal(csr()), der(second), then + 20 * DAY))
    assert third.name == first.name


def test_not_before_half_of_its_life(office: Office) -> None:
    first = enrolled(office.desk.first(First(office.code(), csr()), START))
    answer = office.desk.renew(Renewal(csr()), der(first), START + 10 * DAY)
    assert reason(answer) == "too_early"
    assert isinstance(answer, Refusal)
    assert answer.after == pytest.approx(10 * 86400, rel=0.01)


def test_the_answer_to_a_renewal_may_be_lost_too(office: Office) -> None:
    first, own, then = enrolled(office.desk.first(First(office.code(), csr()), START)), key(), START + 20 * DAY
    second = enrolled(office.desk.renew(Renewal(csr(own)), der(first), then))
    again = enrolled(office.desk.renew(Renewal(csr(own)), der(first), then + HOUR))
    assert again.certificate == second.certificate


def test_a_copy_of_the_device_is_noticed(office: Office) -> None:
    first, then = enrolled(office.desk.first(First(office.code(), csr()), START)), START + 20 * DAY
    enrolled(office.desk.renew(Renewal(csr()), der(first), then))
    assert reason(office.desk.renew(Renewal(csr()), der(first), then + HOUR)) == "superseded"


def test_who_was_away_comes_back_for_half_a_year(office: Office) -> None:
    first = enrolled(office.desk.first(First(office.code(), csr()), START))
    assert reason(office.desk.renew(Renewal(csr()), der(first), START + 211 * DAY)) == "too_late"
    enrolled(office.desk.renew(Renewal(csr()), der(first), START + 209 * DAY))


def test_the_revoked_get_nothing_any_more(office: Office) -> None:
    code, own = office.code(), key()
    first = enrolled(office.desk.first(First(code, csr(own)), START))
    with office.register.writing():
        office.register.mark_revoked(first.name, START)
    assert reason(office.desk.renew(Renewal(csr()), der(first), START + 20 * DAY)) == "revoked"
    assert reason(office.desk.first(First(code, csr(own)), START)) == "bad_code"


def test_certificates_of_others(office: Office) -> None:
    stranger = Office(office.authority.crl.parent / "stranger")
    foreign = enrolled(stranger.desk.first(First(stranger.code(), csr()), START))
    stranger.register.close()
    assert reason(office.desk.renew(Renewal(csr()), der(foreign), START + 20 * DAY)) == "unknown"
    own = office.authority.client(key().public_key(), "collector", START, 30)  # ours, and no probe's
    shown = x509.load_pem_x509_certificate(own.pem.encode()).public_bytes(Encoding.DER)
    assert reason(office.desk.renew(Renewal(csr()), shown, START + 20 * DAY)) == "unknown"
    assert reason(office.desk.renew(Renewal(csr()), b"nonsense", START)) == "bad_request"


def test_a_name_is_never_given_twice(office: Office) -> None:
    chances = iter([b"a" * 10, b"b" * 10, b"b" * 10, b"c" * 10, b"c" * 10])
    desk = Desk(office.config, Authority(office.authority.crl.parent, START), office.register, lambda _: next(chances))
    names = {enrolled(desk.first(First(office.code(), csr()), START)).name for _ in range(2)}
    assert len(names) == 2
