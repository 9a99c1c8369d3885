"""The gateway: what people and programs outside see of the graph, by REST, GraphQL and the command line.

Belongs here: translation between the graph and its users' forms (`rest/`, `graphql/`), who may come in (`security`), the
pages of the explorers (`pages`, `static/`), and the front door of the command line (`cli`) with its client (`commands/`). Does
not: a rule about the graph (that is `datamodel`) or a decision about jobs and edges (that is `reconcilers`).

Open first `app.py` (what is served), then `rest/nodes.py` (routes that follow from the declared kinds), then
`graphql/schema.py` (the same for GraphQL), then `scheduling.py` (what job scheduling has beside its kinds).
"""
