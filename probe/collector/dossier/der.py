"""Just enough of DER (ITU-T X.690) to set the certificates of a time stamp in order.

OpenSSL's authorities write them in the order of the chain, which CMS allows (RFC 5652, 5.1: BER), and readers that
insist on DER refuse. No signature covers their order, and a set in order is as long as one that is not.
"""

from __future__ import annotations

from collections.abc import Iterator

from probe.model.errors import MalformedRecord

_CERTIFICATES = 0xA0  # [0], constructed


def in_order(response: bytes) -> bytes:
    """A TimeStampResp (RFC 3161, 2.4.2) with the certificates of its token sorted, as DER has it (X.690, 11.6).

    One without a token comes back as it is. Raises MalformedRecord for bytes that are no such thing.
    """
    start, end = 0, len(response)
    # TimeStampResp, its ContentInfo (after the status), the [0] of that (after its type), SignedData.
    for place in (0, 1, 1, 0):
        parts = list(_parts(response, start, end))
        if len(parts) <= place:
            if place == 0:
                raise MalformedRecord("time stamp", "nothing is in it")
            return response
        _, _, start, end = parts[place]
    for tag, _, low, high in _parts(response, start, end):
        if tag == _CERTIFICATES:
            some = sorted(response[first:last] for _, first, _, last in _parts(response, low, high))
            return response[:low] + b"".join(some) + response[high:]
    return response


def _parts(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """(tag, where it begins, where its content begins, where it ends) of each element in a row."""
    while start < end:
        if end - start < 2 or data[start] & 0x1F == 0x1F:
            raise MalformedRecord("time stamp", f"no DER at byte {start}")
        tag, length, content = data[start], data[start + 1], start + 2
        if length & 0x80:
            count = length & 0x7F
            if not 1 <= count <= 4 or content + count > end:
                raise MalformedRecord("time stamp", f"no DER at byte {start}")
            length, content = int.from_bytes(data[content : content + count], "big"), content + count
        if content + length > end:
            raise MalformedRecord("time stamp", f"cut short at byte {end}")
        yield tag, start, content, content + length
        start = content + length
