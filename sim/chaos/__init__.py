"""Chaos: a running system is harmed again and again while it works, and a checker that believes nothing judges it.

`python -m sim.chaos` starts a whole system of its own, asks for jobs, injects faults one after the other, and compares three
stories: the ledger that the jobs' own steps wrote on the host, the recorded requests with their answers, and what the public
API says at the end. Only whether a fault has bitten is looked up beneath the API.

As root it is inside of a network namespace of its own (`entering.py`), with sites on the far side of lines (`sites/`).

Open first `run.py` (one run), then `checker.py` (what must hold), `faults/` (what is done to it; more kinds go there),
`ledger.py` and `history.py` (what the checker reads), `load.py` (the work), `machine.py` (the system that is harmed).
"""
