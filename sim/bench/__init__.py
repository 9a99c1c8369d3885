"""The benchmarks: what Tendril carries on this machine, with everything on it.

`python -m sim.bench` starts a whole system of its own (Postgres, NATS, gateway, reconcilers, an agent with 100 simulated
edges) in a temporary directory, measures, prints a table, and one JSON object as its last line; `--only gateway` does so for a
part of it.

Open first `scenarios.py` (what is measured), then `stack.py` (on what).
"""
