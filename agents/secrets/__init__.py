"""Secrets at an edge: asked for with an attempt, kept in memory only, shown to its steps, and taken out of all that it says.

Open first `runtime.py` (what stands before a runtime), then `asking.py` (how values come here), `strongbox.py` (where they
lie) and `masks.py`, `redaction.py` and `pages.py` (what is taken out of which bytes). The shim of the process runtime imports
`redaction`, which needs the standard library alone.
"""
