"""Reading what attempts wrote.

Open first `lines.py` (frames as lines, pure), then `attempts.py` (which attempt is meant) and `following.py` (its log as it
grows).
"""
