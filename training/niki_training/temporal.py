"""Placeholder."""
class TemporalNet:
    pass
