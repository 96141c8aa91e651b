"""Composition of the pipeline from settings. May import observers, solvers and people."""
