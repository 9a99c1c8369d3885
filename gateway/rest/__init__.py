"""REST: routes that follow from the declared kinds (`nodes`, with `writing`, `past`, `lists` and `watch`), health, and the
verbs of job scheduling (`jobs`, `edges`).

Belongs here: reading requests and writing answers. Does not: what GraphQL needs too (that is in `gateway` itself).

The verbs are mounted by `gateway/scheduling.py`, where the model has their kinds. Open first `nodes.py`, then `jobs.py`.
"""
