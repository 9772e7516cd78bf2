"""Boards: the results of one or several runs as an HTML page, tables for papers, and figures."""
