"""Keypoints over time to joints in metres, by a graph. May import backends, models and scene."""
