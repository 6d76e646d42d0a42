"""Work by the thousand: what one batch of a measurement would be too slow for. Through the same guard and budget."""
