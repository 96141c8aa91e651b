"""Start and end of a ROS process: signals, the executor, errors as text and exit code."""

import gc
import inspect
import os
from pathlib import Path
import signal
import sys
import threading
from typing import Callable, Optional

from niki_ros.common.errors import ConfigError, NikiError
from niki_ros.common.heap import configure_heap, return_free_memory
from niki_ros.common.plain_text import write_plainly
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

_SPIN_TIMEOUT_S = 0.1
_LOG_PERIOD_S = 5.0
_MAX_DOMAIN_ID = 232  # DDS has no ports for higher domains
_LOG_FOLDER_WORDS = ('logging', 'log director', 'for writing', '.log')
# a Python thread waits 5 ms for another one by default, which is a third of a frame
_SWITCH_INTERVAL_S = 0.0002


class ProcessNode:
    """Second base class of nodes; :func:`run_node` ends when ``exit_code`` is not None."""

    exit_code: Optional[int] = None

    def close(self) -> None:
        """Join the threads and free everything, before ROS is shut down."""

    def on_unreadable(self, error: Exception) -> None:
        """Log a message that rclpy could not deserialize."""
        self.get_logger().error(f'message dropped, {type(error).__name__}: {error}',  # type: ignore
                                throttle_duration_sec=_LOG_PERIOD_S)


def use_large_image_profile() -> None:
    """Give the publishers of this process memory for raw images, unless the user has a profile."""
    names = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
    if not any(os.environ.get(name) for name in names):
        profile = str(Path(__file__).with_name('fastdds_shm.xml'))
        for name in names:
            os.environ[name] = profile


def run_node(make_node: Callable[[], ProcessNode], args=None, name: str = 'niki_ros') -> int:
    """Run the node until it has an exit code or a signal arrives; return the code, 1 = error."""
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    write_plainly()
    configure_heap()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    node: Optional[ProcessNode] = None
    try:
        start_ros(args, SignalHandlerOptions.NO)
        node = make_node()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        # Python runs signal handlers only between calls: wait in short intervals
        while not stop.is_set() and node.exit_code is None:
            spin_once(executor, node.on_unreadable)
        return node.exit_code or 0
    except NikiError as error:
        print(f'{name}: {error}', file=sys.stderr)
        return 1
    except ExternalShutdownException:
        return 0
    finally:
        if node is not None:
            node.close()
            node.destroy_node()  # type: ignore[attr-defined]
        rclpy.try_shutdown()


def keep_memory() -> None:
    """Collect garbage; exclude what is left from later collections, which take 50 ms with it."""
    gc.collect()
    gc.freeze()


def prepare_log() -> None:
    """List the files of all modules now: the first line of the log does so, in 50 ms."""
    inspect.getmodule(inspect.currentframe())


def release_memory() -> None:
    """Collect garbage and return the free memory to the system."""
    gc.unfreeze()
    gc.collect()
    return_free_memory()


def start_ros(args, signals: SignalHandlerOptions) -> None:
    """Initialize rclpy; wrong arguments, log folder, domain or SROS 2 keys are a ConfigError."""
    domain = os.environ.get('ROS_DOMAIN_ID', '').strip()
    if domain and not (domain.isdecimal() and int(domain) <= _MAX_DOMAIN_ID):
        raise ConfigError(f'ROS_DOMAIN_ID is {domain!r}; expected a number 0 to {_MAX_DOMAIN_ID}: '
                          'export ROS_DOMAIN_ID=0')
    try:
        rclpy.init(args=args, signal_handler_options=signals)
    except Exception as error:  # RCLError and others, without a common base class
        text = str(error).partition(', at /')[0].replace('failed to initialize rcl: ', '')
        raise ConfigError(_start_error_text(text)) from error


def _start_error_text(rcl_text: str) -> str:
    if any(word in rcl_text for word in _LOG_FOLDER_WORDS):
        return (f'the log folder of ROS cannot be written: {rcl_text}; export '
                'ROS_LOG_DIR=/tmp/ros_log, or start with --ros-args --disable-external-lib-logs')
    secure = os.environ.get('ROS_SECURITY_ENABLE', '').lower() == 'true'
    if 'SECURITY' in rcl_text or (secure and rcl_text == 'error not set'):
        keystore = os.environ.get('ROS_SECURITY_KEYSTORE') or 'not set'
        return (f'ROS_SECURITY_ENABLE is true, and the keys cannot be read: {rcl_text} '
                f'(ROS_SECURITY_KEYSTORE is {keystore}); docs/security.md has the commands')
    if "Couldn't parse" in rcl_text or rcl_text.startswith('['):
        return (f'ROS does not take these arguments: {rcl_text}; config/pose.yaml is an example '
                'of a parameter file')
    return f'ROS 2 does not start: {rcl_text}'


def spin_once(executor, on_unreadable: Callable[[Exception], None]) -> None:
    """Handle the callbacks that are ready; pass errors to ``on_unreadable`` and continue."""
    try:
        executor.spin_once(timeout_sec=_SPIN_TIMEOUT_S)
    except ExternalShutdownException:
        raise
    except Exception as error:  # rclpy raises where it cannot deserialize a message
        on_unreadable(error)
