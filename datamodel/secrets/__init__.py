"""Secrets: values that people hand in once and programs may use, kept apart from the graph. They never enter its log.

A secret has a name within a scope, which is a node of the graph, and some values by key. Who keeps them can only seal what it
is given (`keyring.Seal`), and who reveals them has the keys (`keyring.Keyring`): they are different programs.

Open first `ports.py` (what is asked of them), then `datamodel/postgres/secrets.py`, `hashicorp.py` and `memory.py` (where they
are kept), `value.py` (what a secret may be) and `opening.py` (which of them a program's settings mean).
"""
