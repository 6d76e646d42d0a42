"""Typed values that every room shares. Nothing here imports another room, opens a socket or reads a clock."""
