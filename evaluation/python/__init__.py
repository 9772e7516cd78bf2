"""The Python interface: evaluate networks, data, attacks and defenses in memory with the code that runs recipes."""
