"""Findings in the formats of others: OONI measurements, RIPE Atlas results, a table for spreadsheets.

Each format is a function of one finding: pure, without sockets, clocks or files. It says nothing that the finding does
not hold, and what the format has no room for it counts in ``lost`` (reason → how often), so that nothing goes missing
unnoticed. ``docs/export.md`` says field by field what becomes of what.
"""
