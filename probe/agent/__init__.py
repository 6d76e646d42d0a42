"""The daemon: schedule, spool, publisher, systemd, control socket, line identity. It parses no packet."""
