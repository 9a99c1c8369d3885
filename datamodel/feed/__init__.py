"""The feed: the log's changes on NATS JetStream, one subject a node, last state per subject.

Open first `message.py` (what is on the wire), then `stream.py` (the relay's side) and `follow.py` (everybody else's).
"""
