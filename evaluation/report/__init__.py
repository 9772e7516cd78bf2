"""From numbers to what people read, and the folder that a run leaves."""
