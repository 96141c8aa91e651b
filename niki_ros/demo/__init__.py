"""The application behind make demo, on top of the ROS nodes. May import ros."""
