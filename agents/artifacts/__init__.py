"""Files on their way between attempts and the hub: artifacts that the steps leave, and inputs that they are given.

Open first `deciding.py` (what that means for an attempt's end, pure), then `errands.py` (how each is got done in the end, or
not), `sending.py` and `fetching.py` (one attempt's files up and down), and `carrier.py` (both, as the loop knows them).
"""
