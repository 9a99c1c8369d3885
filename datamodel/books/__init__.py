"""The audit's own books: what follows from the log, by bookkeeping and arithmetic that share nothing with the fold.

Each book takes what an event says, appends a sentence for each thing that should not be so, and goes on with what the event
says: one wrong event is told once. They read a kind's declared tables (places, links, finalizers, phases) and what is read
from a node's name and spec (pools, amounts, claims), and none of its rules. Not here: the order in which the books are
asked, which is `datamodel/audit.py`, and the second account of a model's own rules, which is the model's
(`Model.judge`). Open first `nodes.py`.
"""
