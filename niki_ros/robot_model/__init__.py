"""A body for robot tools: URDF, joint angles, REP-155. May import scene and body."""
