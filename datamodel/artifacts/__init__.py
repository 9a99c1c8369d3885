"""Artifacts: larger files, kept beside the graph for a time in pieces of one size. They never enter its log.

An artifact has a key, and what the graph says of it: how many bytes it has and their SHA-256. Open first `pieces.py` (what a
piece is, pure), then `ports.py` (what is asked of who keeps them), `jetstream.py` and `memory.py` (the same without a server),
and `reading.py` (any part of one, checked).
"""
