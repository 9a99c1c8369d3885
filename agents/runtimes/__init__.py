"""How an attempt's steps run: one small protocol, one file an engine.

Open first `protocol.py`. The pure question "which step comes next" is `agents/convergence.py`'s; a runtime only starts,
stops, observes and removes.
"""
