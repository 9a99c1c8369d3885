"""The reconcilers: they read the present, plan purely, and append what follows at the expected versions.

Belongs here: one file a reconciler, `planning/` for the pure decisions, `runtime/` for what all of them share (queue,
leases, backoff, resync). Does not: what a node is (`datamodel`), how a container runs (`agents`).

Open first `runtime/controller.py`, then `placement.py` with `planning/placement.py` as the example of the others.
"""
