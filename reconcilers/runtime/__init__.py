"""What all reconcilers share: the log's tail that wakes them, the keyed queue, fenced shards, retries, resync. Open first
`controller.py`, then `tail.py`."""
