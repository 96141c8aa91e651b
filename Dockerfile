# niki_ros on ROS 2 Jazzy; every graph runs on the CPU. How to build and use it: docs/docker.md
FROM ros:jazzy-ros-base

# what package.xml names, and the two packages of messages that are used where they are installed
RUN apt-get update && apt-get install -y --no-install-recommends \
    python3-numpy \
    python3-opencv \
    python3-pip \
    python3-scipy \
    python3-tqdm \
    python3-yaml \
    ros-jazzy-diagnostic-msgs \
    ros-jazzy-geometry-msgs \
    ros-jazzy-hri-msgs \
    ros-jazzy-launch \
    ros-jazzy-launch-ros \
    ros-jazzy-lifecycle-msgs \
    ros-jazzy-rclpy \
    ros-jazzy-sensor-msgs \
    ros-jazzy-std-msgs \
    ros-jazzy-tf2-msgs \
    ros-jazzy-vision-msgs \
    ros-jazzy-visualization-msgs \
    && rm -rf /var/lib/apt/lists/*

# Ubuntu has no package of it; numpy<2: the messages of Jazzy are compiled for Ubuntu's 1.26
RUN pip install --no-cache-dir --break-system-packages 'onnxruntime==1.32.0' 'numpy<2'

WORKDIR /ws
COPY LICENSE NOTICE package.xml setup.cfg setup.py src/niki_ros/
COPY resource src/niki_ros/resource/
COPY launch src/niki_ros/launch/
COPY config src/niki_ros/config/
COPY niki_ros src/niki_ros/niki_ros/
# the last line of the RUN fails the build where something is missing, not the robot
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN source /opt/ros/jazzy/setup.bash \
    && colcon build --packages-select niki_ros \
    && rm -rf build log src \
    && ln -s /ws/install/niki_ros/lib/niki_ros/niki /usr/local/bin/niki \
    && source install/setup.bash \
    && python3 -c 'import niki_ros.ros.pose_node, niki_ros.ros.humans_merger, onnxruntime, cv2' \
    && niki models verify

COPY docker/entrypoint /entrypoint
ENTRYPOINT ["/entrypoint"]
USER ubuntu
CMD ["ros2", "launch", "niki_ros", "pose.launch.py"]
