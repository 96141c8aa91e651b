"""The human body: skeleton, rotations, kinematics, shape, observations. May import common."""
