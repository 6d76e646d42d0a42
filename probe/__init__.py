"""Colibri: a network probe that shows what an internet operator does to a line, and proves it."""

__version__ = "0.1.0"
