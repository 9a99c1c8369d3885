"""The soak: an hour of open-loop load, and whether anything grows that must be flat.

`python -m sim.soak` starts a system of its own (or joins one that `make up` runs), loads it, deletes what has finished, so that
it reaches a steady state, samples what can be seen of every program, the database and the feed, and judges each series.

Open first `series.py` (what must be flat, and what grows by design), then `slope.py` (how it is judged).
"""
