"""The open-loop load: jobs that arrive at their own times, whatever the system does, and how long each of them took.

Arrivals do not wait for answers, and every latency counts from the moment at which its job was *meant* to be sent: a system
(or a generator) that stalls cannot hide the jobs that it kept waiting (coordinated omission). It uses the public API alone.

`python -m sim.load --rate 20 --seconds 60` runs against any gateway. Open first `generator.py` (the life of a job), then
`tally.py` (what is counted).
"""
