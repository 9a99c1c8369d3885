"""Traces: logs of jobs that somebody had, replayed through the real planner in virtual time, and what came of it beside a bound
on what any scheduler could have made of them.

`python -m sim.traces FILE.swf` does so for any file in the Standard Workload Format; `python -m sim.traces write mixed` writes
one of two synthetic ones, which `make bench` measures with.

Open first `swf.py` (what is read), then `replay.py` (how it is run) and `bound.py` (what it is compared with).
"""
