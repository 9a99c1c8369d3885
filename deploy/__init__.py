"""How Tendril's programs are brought to run on machines.

Belongs here: what starts, wires and supervises the programs. Does not: anything that a program does once it runs.

Open first `local/`, which runs everything on one machine.
"""
