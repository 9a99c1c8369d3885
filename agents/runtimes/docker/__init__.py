"""Steps as containers of a Docker engine.

Open first `runtime.py` (the protocol), then `container.py` (what a container is made of, and what its state means;
pure), `starting.py` and `attempt.py` (what is asked of the engine), `engine.py` (how it is called, and what its errors
are to us) and `events.py` (how we learn that something changed).
"""
