"""
Evaluation on motion, video and data sets of papers: one module per verb, and their scores.

May import front_end and lift.
"""
