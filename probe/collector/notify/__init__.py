"""Tells people of incidents: opened, closed, changed in what matters; once each, and nothing twice after a restart.

``changes`` (pure: what is news, given what was told) → ``message`` (words) → ``memory`` (told and due, in one
transaction) → ``post`` (webhook, e-mail, ntfy), driven by ``desk``.
"""
