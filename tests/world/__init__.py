"""The deterministic world: many seeds, exact replay, and the shrinking of what breaks.

Belongs here: what runs whole worlds. How virtual time and processes work is in `tests/unit/test_world_*.py`.
"""
