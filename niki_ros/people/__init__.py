"""Association, tracking, and the stages that each person passes. May import lifters and scene."""
