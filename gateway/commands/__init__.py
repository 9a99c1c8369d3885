"""The command line's client: `tendril get`, `apply`, `submit`, `wait` and the others, over the REST API and nothing else.

Belongs here: what people type and what they are shown. Does not: anything that a kind declares. Names, places and columns
are asked of the API, so this package imports nothing of the graph. A command's modules are imported when it is called.

Open first `names.py` (from what somebody typed to a path), then `client.py` (requests and what goes wrong with them), then
`get.py`. A new verb is a function in a module of its own and a line in `gateway/cli.py`.
"""
