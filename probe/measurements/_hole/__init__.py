"""Parts of `blackhole`: whom to measure, how far packets get, the verdict."""
