"""What Python itself runs first in every program of a run: this folder stands in front of their module path.

Belongs here: `sitecustomize.py` alone, by which a program that is not told anything of it gets a clock that can jump. Does not:
anything that programs import for themselves.
"""
