"""The feed: the log's changes on NATS JetStream, one subject a node, last state per subject.

Open first `ports.py` (what is asked of it), then `message.py` (what is on the wire), `stream.py` (the relay's side),
`follow.py` (everybody else's) and `memory.py` (all of it without a server).
"""
