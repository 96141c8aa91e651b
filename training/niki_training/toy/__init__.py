"""The toy experiment of "Deep Kinematic Pose Regression" (Zhou et al. 2016), one command."""
