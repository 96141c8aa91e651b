"""ROS nodes and topics, with rclpy. May import loading, messages and robot_model."""
