"""Turn recorded scores into tables, comparisons and verifications, and manage the result folder of a run."""
