"""The demonstration behind make demo, an application of its own on top of the ROS nodes."""
