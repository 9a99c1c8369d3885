"""Edge agents: they see their own subtree, run its attempts as containers and report what became of them.

Belongs here: what runs on an edge. Does not: what to place where (`reconcilers`), what a record means (`datamodel`).

Open first `loop.py` (one agent's life), then `convergence.py` (what to do next, pure), `outbox.py` (why no report is
lost; `journal.py` is its disk), `link.py` (NATS), and `runtimes/` (how an attempt's steps run).
"""
