"""Decoding of ROS messages of any library to arrays and cameras; no rclpy. May import scene."""
