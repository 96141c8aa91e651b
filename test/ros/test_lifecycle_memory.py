"""Cleanup gives the memory back: measured in a process of its own, with the models that ship."""

import json
import os
import subprocess
import sys

import pytest
from scenes import child_environment

CYCLES = 6
GROWTH_MB = 20.0
"""Five cycles may leave this; twenty leave 13, and the last ten of them less than one."""

PROGRAM = f"""
import json, re, sys
from pathlib import Path
import numpy as np
import rclpy
from niki_ros.benchmarks.check_images import check_images
from niki_ros.common.heap import configure_heap
from niki_ros.ros.conversions import image_from_rgb
from niki_ros.ros.pose_node import PoseNode
from niki_ros.ros.lifecycle import SUCCESS
from rclpy.parameter import Parameter

def rss_mb():
    return int(re.search(r'VmRSS:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) / 1024

configure_heap()
rclpy.init(args=[])
node = PoseNode(parameter_overrides=[Parameter('autostart', value=False)])
picture = check_images()[0].image_rgb
image = np.full((720, 1280, 3), 128, np.uint8)
# below the upper border, which would cut the person off
image[60:60 + picture.shape[0], :picture.shape[1]] = picture[:660, :1280]
configured, cleaned, threads, files, bodies = [], [], [], [], []
for cycle in range({CYCLES}):
    assert node.trigger_configure() == SUCCESS, node.reason
    assert node.trigger_activate() == SUCCESS, node.reason
    for index in range(6):
        stamp_ns = 10**18 + cycle * 10**9 + index * 40_000_000
        node.activation.processor.process(image_from_rgb(image, stamp_ns, 'camera'))
    configured.append(rss_mb())
    bodies.append(node.health.bodies)
    assert node.trigger_deactivate() == node.trigger_cleanup() == SUCCESS
    cleaned.append(rss_mb())
    threads.append(len(list(Path('/proc/self/task').iterdir())))
    files.append(len(list(Path('/proc/self/fd').iterdir())))
node.close()
node.destroy_node()
rclpy.shutdown()
print(json.dumps(dict(configured=configured, cleaned=cleaned, threads=threads, files=files,
                      bodies=bodies)))
"""


@pytest.mark.skipif(not os.path.exists('/proc/self/status'), reason='only Linux tells the RSS')
def test_cleanup_frees():
    process = subprocess.run([sys.executable, '-c', PROGRAM], text=True, timeout=200,
                             capture_output=True, env=child_environment(ROS_DOMAIN_ID='93'))
    assert process.returncode == 0, process.stderr
    told = json.loads(process.stdout.splitlines()[-1])
    assert min(told['bodies']) >= 1, told
    assert told['cleaned'][-1] - told['cleaned'][0] < GROWTH_MB, told
    # what one configuration holds is given back by most of it
    for configured, cleaned in zip(told['configured'], told['cleaned']):
        assert configured - cleaned > 50.0, told
    assert len(set(told['threads'][1:])) == 1 and len(set(told['files'][1:])) == 1, told
