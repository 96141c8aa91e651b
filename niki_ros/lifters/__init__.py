"""Keypoints over time to joints in metres, by a graph. May import backends and scene."""
