"""Experiments of the papers, each one command."""
