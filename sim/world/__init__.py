"""The deterministic world: whole processes of Tendril in one thread, on virtual time, the same again for the same seed.

Belongs here: virtual time, simulated processes, and fakes of what processes talk to (store, network, feed, disk, engine).
Does not: anything that the product needs, or that waits for real.

A *universe* is everything that will happen, in order; leaving it (`with`) kills what still lives there. A *process* runs
the product's own asyncio code in it, on a loop and clocks of its own, and is killed, paused and started again as a real
one. What it asks of the world goes through `Process.call`, what the world tells it through `Process.deliver`: a fake needs
nothing else of asyncio. Chance comes from the streams of one *dice*, which is in charge while a seed runs.

Open first `process.py` (what fakes and scripts use), then `universe.py` (what happens when).
"""
