"""Bytes to values and back: IP, TCP, UDP, ICMP and its quoted packet, DNS, TLS, HTTP, captures. Pure.

The only exception that these modules raise on input is :class:`probe.model.errors.MalformedPacket`.
"""
