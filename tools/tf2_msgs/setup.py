"""Build ``tf2_msgs`` for ROS 2 Jazzy installed from wheels."""

from pathlib import Path
import sys

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'message_package'))

from build import build  # noqa: E402, I100

build(HERE, ('geometry_msgs',), {
    # what the tf2_msgs of a real ROS 2 Jazzy says
    'TFMessage': 'RIHS01_e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087',
}, 'The TF message for ROS 2 Jazzy installed from wheels')
