"""An Internet in network namespaces: the ground truth of the tests and of the demo. Imported by ``probe.cli`` only."""
