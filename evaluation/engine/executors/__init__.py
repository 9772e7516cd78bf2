"""Carry out units of work: a worker in this process, several on this machine, or the machines of a Ray cluster."""
