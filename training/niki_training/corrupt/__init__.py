"""What front ends do to joints: a registry of corruptions with their odds."""
