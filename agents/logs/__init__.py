"""Attempts' logs on their way from the runtime to the hub.

Open first `cutting.py` (what of an output goes into a log, pure), then `shipper.py` (when, and how it gets there).
"""
