"""Transcripts: what something said while it went on, kept beside the graph for a time. They never enter its log.

A transcript has a key and grows at its end by one entry after the other. Open first `ports.py` (what is asked of them), then
`jetstream.py` and `memory.py` (the same without a server).
"""
