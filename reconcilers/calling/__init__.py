"""Calling receivers out there, whoever they are: one POST, and what became of it.

Open first `ports.py` (what is asked of a sender), then `http.py` (the real one) and `memory.py` (its fake). `exposure.py`
decides which URLs and addresses may be called, `signing.py` signs, and `lines.py` keeps slow hosts from holding up others.
Nothing of jobs is known here: what is sent, and when again, is `reconcilers/planning/callbacks.py`.
"""
