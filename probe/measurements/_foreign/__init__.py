"""Verdicts on packets that others captured: DNS races, reset connections, paths."""
