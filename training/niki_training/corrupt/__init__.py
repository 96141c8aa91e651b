"""
Corruptions of joints: those of the evaluation protocol, and random ones for training.

All work on joints (B, T, 29, 3) of B sequences of T frames, camera axes, metres. Random numbers
come from the caller's generator. Imports no other room of the training.
"""
