"""Who carries out units of work: this process, several on this machine, or the machines of a Ray cluster."""
