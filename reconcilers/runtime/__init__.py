"""What all reconcilers share: the keyed queue, fenced shards, retries, resync. Open first `controller.py`."""
