"""From Python: a run of objects that exist in memory, by the code that runs recipes."""
