"""From the ledger to numbers: rows, their intervals and flags."""
