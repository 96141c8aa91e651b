"""Training of the lifter, from keypoints over time to joints in metres, on motion capture."""
