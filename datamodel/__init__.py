"""The typed graph with its log: declaring kinds, the rule book, the projection, the feed, their ports and adapters.

Belongs here: what is true of any graph of nodes (`kinds`, `rulebook`, `state`), how it is stored (`postgres/`, `memory`),
read (`query`, `moments`, `difference`, `watching`), kept (`keeping/`) and carried (`feed/`). The scheduling model
(`scheduling/`) is its first user, and nothing else here knows of it.
Does not: a decision of that model's (that is `reconcilers`), or anything that faces a user (`gateway`).

Open first `kinds.py` (what can be declared), then `rulebook.py` (what may happen), then `ports.py` (who may ask).
"""
