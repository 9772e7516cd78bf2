"""The networks of a run: loaded, taught to their defenses, and the systems that they make with them."""
