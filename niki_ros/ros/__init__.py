"""ROS nodes and topics, the only room with rclpy. May import loading, messages and robot_model."""
