"""All of Tendril on one machine, as children of one process: Postgres, NATS, gateway, reconcilers and some edges.

Belongs here: what `make up` starts, in which order, with which settings and credentials, and how it ends. Does not:
what the programs themselves do, or how they run elsewhere.

Open first `up.py` (the whole life of one `make up`), then `supervisor.py` (the order of start and stop), `keeper.py`
(one child, kept running), `postgres.py` and `nats.py` (the two servers), `programs.py` (Tendril's own).
"""
