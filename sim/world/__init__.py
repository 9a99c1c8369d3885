"""The deterministic world: whole processes of Tendril in one thread, on virtual time, the same again for the same seed.

Belongs here: virtual time, simulated processes, and fakes of what processes talk to (store, network, feed, disk, engine).
Does not: anything that the product needs, or that waits for real.

A *universe* is everything that will happen, in order. A *process* runs the product's own asyncio code on a loop and clocks
of its own in it, and is killed, paused and started again as a real one. What it asks of the world goes through
`Process.call`, what the world tells it through `Process.deliver`: a fake needs nothing else of asyncio. Chance comes from
the streams of one *dice*.

Open first `process.py` (what a fake and a script use), then `universe.py` (what happens when).
"""
