"""The ROS nodes and topics; the only room with rclpy. Converts, calls the algorithm, publishes."""
