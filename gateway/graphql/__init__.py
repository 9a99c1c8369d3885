"""GraphQL: a schema that is generated from the declared kinds, and the endpoint that runs queries against it.

Belongs here: types, resolvers, limits. Does not: what REST needs too (that is in `gateway` itself).

Open first `schema.py`, then `kinds.py` (an object type for each kind), `parts.py` (its spec and status) and `writing.py` (how
it is written).
"""
