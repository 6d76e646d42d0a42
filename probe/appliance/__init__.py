"""The image's own part: what makes a card that somebody flashed and edited a running, updated, healthy probe."""
