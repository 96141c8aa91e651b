"""Benchmarks of papers, for those who hold the data: ``niki-evaluate dataset``."""
