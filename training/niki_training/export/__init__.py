"""Checkpoint to model folder: graph, FP16, manifest, calibrated confidence."""
