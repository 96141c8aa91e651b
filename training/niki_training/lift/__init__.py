"""Keypoints over time to joints in metres: learned from motion capture and its projections."""
