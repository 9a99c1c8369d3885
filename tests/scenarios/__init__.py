"""Readable scripts over a small world of pure decisions, with what is expected of them in the same file."""
