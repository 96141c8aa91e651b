"""Training of the lifter: keypoints over time to joints. May import render and export."""
