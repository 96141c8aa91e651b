"""Checkpoint to model folder: graph, manifest, confidence. May import train."""
