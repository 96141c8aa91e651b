"""Training of NIKI: losses, settings, the loop, checkpoints, ablations."""
