"""REST: routes that follow from the declared kinds (`nodes`), the verbs that people look for (`jobs`, `edges`), health.

Belongs here: reading requests and writing answers. Does not: what GraphQL needs too (that is in `gateway` itself).

Open first `nodes.py`, then `jobs.py`.
"""
