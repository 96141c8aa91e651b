"""ROS nodes, with rclpy. May import benchmarks, loading, messages and robot_model."""
