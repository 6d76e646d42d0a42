"""Taking a name back: register and list. (With a real broker: tests/deploy/test_broker.py.)"""

from __future__ import annotations

from cryptography import x509

from probe.collector.enrol.revoke import revoke
from probe.model.enrol import Enrolled, First
from tests.collector.enrol.conftest import START, Office, csr


def test_without_a_broker_register_and_list_are_written(office: Office) -> None:
    answer = office.desk.first(First(office.code(), csr()), START)
    assert isinstance(answer, Enrolled)
    done = revoke(office.config, office.authority, office.register, answer.name, None)
    assert (done.name, done.certificates, done.refused_after, done.cut_after) == (answer.name, 1, None, None)
    revoked = x509.load_pem_x509_crl(office.authority.crl.read_bytes())
    serial = x509.load_pem_x509_certificate(answer.certificate.encode()).serial_number
    assert revoked.get_revoked_certificate_by_serial_number(serial) is not None
    row = office.register.probe(answer.name)
    assert row is not None
    assert row.revoked is not None
