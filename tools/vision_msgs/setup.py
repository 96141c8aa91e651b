"""Build ``vision_msgs`` for ROS 2 Jazzy installed from wheels."""

from pathlib import Path
import sys

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'message_package'))

from build import build  # noqa: E402, I100

build(HERE, ('geometry_msgs', 'std_msgs'), {},
      'Messages of detectors for ROS 2 Jazzy installed from wheels')
