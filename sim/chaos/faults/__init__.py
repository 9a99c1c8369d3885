"""What is done to a running system, one kind of fault a file.

Belongs here: how a fault is injected, how it is shown to have bitten, how it is undone. Does not: what must hold afterwards,
which is the same for all and stands in the checker.

Open first `fault.py` (what a fault is), then `catalogue.py` (all that there are: a new kind is added there).
"""
