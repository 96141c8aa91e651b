"""
The toy experiment of "Deep Kinematic Pose Regression" (Zhou et al. 2016).

Imports the rooms evaluate, networks and files.
"""
