"""Benchmarks of papers: readers of their data sets, predictions on their images, and scores."""
