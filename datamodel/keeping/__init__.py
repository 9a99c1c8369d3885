"""Keeping: a copy of a whole store in a file, and a store from such a file.

What belongs here: the file's format (`archive.py`, open it first), and the commands `tendril backup`, `restore` and `rebuild`
(`__main__.py`). What does not: how a database takes events in bulk, which is `datamodel/postgres/refold.py`.
"""
