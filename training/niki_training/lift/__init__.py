"""Training of the lifter: keypoints over time to joints. May import front_end and export."""
