"""Parts of `throttling`: transfers, their rates, where it begins, the verdict."""
