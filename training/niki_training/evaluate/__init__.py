"""Evaluation: the protocol of the solvers, video with markers, data sets of papers."""
