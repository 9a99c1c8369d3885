"""Front ends: the addresses and documents that clients of other systems know, over this model. Each says what of theirs is
what of ours and back, and no more: what happens is what happens to any other job.

Open first `hades.py`, `jobscheduler.py` and `nexus.py` (the documents, pure), then `routes.py` (which of them there are).
"""
