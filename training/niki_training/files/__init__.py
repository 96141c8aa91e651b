"""
Readers of arrays, weights and pickles that run no code of the file; checks of output files.

Imports no other room of the training.
"""
