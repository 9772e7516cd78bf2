"""The ledger: the crash-safe record of finished work in a result folder."""
