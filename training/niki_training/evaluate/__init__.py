"""
Evaluation on motion, video and data sets of papers: a module per verb, and modules they share.

May import front_end and lift.
"""
