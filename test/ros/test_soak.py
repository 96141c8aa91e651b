"""The node at work for a long time: its memory stays, and no frame is lost from the count."""

from contextlib import contextmanager
import json
import os
from pathlib import Path
import random
import re
import signal
import subprocess
import sys
import time

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
import pytest
from rclpy.node import Node
from ros_fixtures import diagnostic_values, ros_graph, wait_for
from scenes import child_environment

ROOT = Path(__file__).resolve().parents[2]
SOAK_S = float(os.environ.get('NIKI_SOAK_S', 600))
"""Ten minutes; an hour by hand: ``NIKI_SOAK_S=3600 pytest -m long test/ros/test_soak.py``."""
WARM_UP_S = min(120.0, SOAK_S / 4)
MAX_GROWTH_MB = 10.0
RATE_HZ = 15


class Doctor(Node):
    def __init__(self):
        super().__init__('doctor')
        self.values: dict = {}
        self.faults: set = set()
        self.create_subscription(DiagnosticArray, '/diagnostics', self._take, 10)

    def _take(self, message):
        for status in message.status:
            if status.name == 'niki_pose: pose':
                self.values = diagnostic_values(status)
            else:
                self.faults.add(status.name)

    def frames(self) -> dict:
        return {name: int(self.values.get(f'frames_{name}', 0))
                for name in ('received', 'processed', 'skipped')}


@contextmanager
def process(module, log, **parameters):
    words = [word for item in parameters.items() for word in ('-p', '{}:={}'.format(*item))]
    with open(log, 'w') as file:
        running = subprocess.Popen(
            [sys.executable, '-m', f'niki_ros.ros.{module}', '--ros-args', *words],
            env=child_environment(), stdout=file, stderr=subprocess.STDOUT, cwd=ROOT)
    try:
        yield running
    finally:
        if running.poll() is None:
            running.send_signal(signal.SIGINT)
        try:
            running.wait(20)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def rss_mb(pid: int) -> float:
    """Return the memory of a process, MB."""
    text = Path(f'/proc/{pid}/status').read_text()
    return int(re.search(r'VmRSS:\s+(\d+)', text)[1]) / 1024


def watch(node_process, source_process, doctor, seconds: float):
    """Return times, memory and frames until the end; both processes must live that long."""
    start, samples = time.monotonic(), []
    while (passed := time.monotonic() - start) < seconds:
        assert node_process.poll() is None and source_process.poll() is None
        samples.append((passed, rss_mb(node_process.pid), doctor.frames()['processed']))
        time.sleep(1.0)
    return np.array(samples)


def growth_mb(samples) -> float:
    """Return how much more there is in the last tenth than in the first after warming up."""
    warm = samples[samples[:, 0] > WARM_UP_S]
    tenth = max(5, len(warm) // 10)
    return float(np.median(warm[-tenth:, 1]) - np.median(warm[:tenth, 1]))


@pytest.mark.long
@pytest.mark.timeout(SOAK_S + 300)
def test_soak(tmp_path):
    clip = subprocess.run([sys.executable, ROOT / 'tools' / 'demo_clip.py'], text=True,
                          capture_output=True)
    if clip.returncode:
        pytest.skip(f'no demo clip: {clip.stderr[-200:]}')
    logs = tmp_path / 'node.log', tmp_path / 'source.log'
    # the shorter tests use the lower domains: in ten minutes two would meet
    domain = random.randint(215, 231)
    with ros_graph(Doctor, domain=domain) as (doctor,), process('pose_node', logs[0]) as node:
        assert wait_for(lambda: doctor.values.get('state') == 'active', 60), logs[0].read_text()
        with process('video_source', logs[1], source=clip.stdout.strip(), loop='true',
                     rate_hz=float(RATE_HZ), wait_for_subscribers=1) as source:
            assert wait_for(lambda: doctor.frames()['processed'] > 0, 60), logs[1].read_text()
            samples = watch(node, source, doctor, SOAK_S)
        assert wait_for(lambda: sum(doctor.frames().values()) == 2 * doctor.frames()['received'],
                        20), doctor.frames()
        frames, faults = doctor.frames(), sorted(doctor.faults)
    figures = {**frames, 'seconds': SOAK_S, 'growth_mb': round(growth_mb(samples), 2),
               'rss_mb': round(float(samples[-1, 1]), 1), 'faults': faults,
               'every_30_s': [(int(t), round(mb, 1), int(n)) for t, mb, n in samples[::30]],
               'ended': node.returncode}
    print(json.dumps(figures))
    assert node.returncode == 0 and source.returncode == 0, logs[0].read_text()
    assert frames['received'] == frames['processed'] + frames['skipped']
    assert frames['processed'] > 100
    assert figures['growth_mb'] < MAX_GROWTH_MB
    assert not {'niki_pose: inference_failed', 'niki_pose: stamp_repeated'} & set(faults)
