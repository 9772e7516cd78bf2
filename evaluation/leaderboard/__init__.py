"""Turn the scores in a ledger into leaderboard rows, with intervals, flags, comparisons and verdicts on gates."""
