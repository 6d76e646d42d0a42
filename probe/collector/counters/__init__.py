"""Numbers on public pages, read politely at intervals: how they change, and which changes people alone don't make.

``numbers`` and ``extract`` (pure: from a page to a number) ← ``polite`` and ``robots`` (when and whether to ask) →
``ledger`` (what was read) → ``change`` and ``suspicion`` (pure: what it says) → ``views``, driven by ``reader``.
"""
