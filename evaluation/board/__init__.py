"""Boards: what runs have found as a page to read, as tables for papers and as figures."""
