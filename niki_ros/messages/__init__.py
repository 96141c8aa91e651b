"""Fields of ROS messages to arrays, whoever has read the message; no rclpy. May import scene."""
