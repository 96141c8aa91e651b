"""Evaluation on motion, video and data sets of papers. May import front_end and lift."""
