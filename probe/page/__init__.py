"""The home's own page: what this probe is, what it found, what leaves the home; a pause and a few choices."""
