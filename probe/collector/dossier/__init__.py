"""The evidence package of one incident, which anybody can check without us."""
