"""Input that nobody meant to send, and histories that nobody thought of.

Belongs here: for every parser of bytes from outside, that only its documented errors come out and that what it accepts is
what its readers count on; and state machines whose every step is compared with a model of plain dictionaries. Does not:
an example with a meaning of its own (that is its suite's), or what needs a whole system.

Open first `documents.py` (documents that are nearly right), then `budget.py` (how many of them).
"""
