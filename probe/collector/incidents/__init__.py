"""From findings to incidents: who cut what, from when to when, seen from how many homes, and who disagrees. Pure."""
