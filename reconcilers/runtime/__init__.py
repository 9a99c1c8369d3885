"""What all reconcilers share, whatever their model: the log's tail that wakes them, the keyed queue, fenced shards, retries,
resync, and the program that they are. Open first `run.py` (how to run one), then `controller.py`, then `tail.py`."""
