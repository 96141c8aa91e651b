"""Start and end of a ROS process: signals, the executor, errors as text and exit code."""

from __future__ import annotations

import ctypes
import gc
import os
from pathlib import Path
import signal
import sys
import threading

from niki_ros.common.errors import ConfigError, NikiError
from niki_ros.common.plain_text import write_plainly

_SPIN_S = 0.1
_LOG_PERIOD_S = 5.0
# beyond it DDS has no ports
_LAST_DOMAIN = 232
_LOG_WORDS = ('logging', 'log director', 'for writing', '.log')
_M_ARENA_MAX = -8
# Python lets a thread that waits for another one wait 5 ms each time; that is a third of a frame
_SWITCH_S = 0.0002


def use_large_image_profile():
    """Give this process's publishers room for raw images; a profile of the user's own wins."""
    names = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
    if not any(os.environ.get(name) for name in names):
        profile = str(Path(__file__).with_name('fastdds_shm.xml'))
        for name in names:
            os.environ[name] = profile


def run_node(make_node, args=None, name: str = 'niki_ros') -> int:
    """
    Run the node that ``make_node()`` returns until it is done or a signal comes.

    The node may have ``exit_code`` (None while it runs) and ``close()``, which joins its threads.

    :return: 0, or 1 after an error, which is printed.
    """
    sys.setswitchinterval(_SWITCH_S)
    write_plainly()
    use_few_arenas()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    import rclpy
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
    from rclpy.signals import SignalHandlerOptions
    node = None
    try:
        start_ros(args, SignalHandlerOptions.NO)
        node = make_node()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        # a signal handler of Python runs only between calls: wait in short pieces
        while not stop.is_set() and getattr(node, 'exit_code', None) is None:
            spin_once(executor, node)
        return getattr(node, 'exit_code', None) or 0
    except NikiError as error:
        print(f'{name}: {error}', file=sys.stderr)
        return 1
    except ExternalShutdownException:
        return 0
    finally:
        if node is not None:
            if hasattr(node, 'close'):
                node.close()
            node.destroy_node()
        rclpy.try_shutdown()


def use_few_arenas():
    """
    Let all threads share two heaps (glibc); ``MALLOC_ARENA_MAX`` of the user's own wins.

    A heap for every thread of every configuration leaves holes that nobody can give back.
    """
    if 'MALLOC_ARENA_MAX' not in os.environ:
        try:
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)
        except (AttributeError, OSError):
            pass  # another C library


def release_memory():
    """Collect garbage, and hand what the C library keeps for later back to the system (glibc)."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):
        pass  # another C library


def start_ros(args, signals):
    """
    Let ROS read its arguments and start.

    :raises ConfigError: with what is wrong: arguments, log folder, domain or keys of SROS 2.
    """
    import rclpy
    domain = os.environ.get('ROS_DOMAIN_ID', '').strip()
    if domain and not (domain.isdecimal() and int(domain) <= _LAST_DOMAIN):
        raise ConfigError(f'ROS_DOMAIN_ID is {domain!r}; expected a number 0 to {_LAST_DOMAIN}: '
                          'export ROS_DOMAIN_ID=0')
    try:
        rclpy.init(args=args, signal_handler_options=signals)
    except Exception as error:  # RCLError and others, without a common base class
        said = str(error).partition(', at /')[0].replace('failed to initialize rcl: ', '')
        raise ConfigError(_what_is_wrong(said)) from error


def _what_is_wrong(said: str) -> str:
    """Return what ROS said when it did not start, with what mends it."""
    if any(word in said for word in _LOG_WORDS):
        return (f'the log folder of ROS cannot be written: {said}; choose another: '
                'export ROS_LOG_DIR=/tmp/ros_log, or write no log: --ros-args '
                '--disable-external-lib-logs')
    secure = os.environ.get('ROS_SECURITY_ENABLE', '').lower() == 'true'
    if 'SECURITY' in said or (secure and said == 'error not set'):
        where = os.environ.get('ROS_SECURITY_KEYSTORE') or 'not set'
        return (f'ROS_SECURITY_ENABLE is true, and the keys cannot be read: {said} '
                f'(ROS_SECURITY_KEYSTORE is {where}); docs/security.md has the commands')
    if "Couldn't parse" in said or said.startswith('['):
        return (f'ROS does not take these arguments: {said}; config/pose.yaml shows the form of a '
                'parameter file')
    return f'ROS 2 does not start: {said}'


def spin_once(executor, node):
    """Handle what has come; a message that rclpy cannot even read must not end the node."""
    from rclpy.executors import ExternalShutdownException
    try:
        executor.spin_once(timeout_sec=_SPIN_S)
    except ExternalShutdownException:
        raise
    except Exception as error:
        if hasattr(node, 'on_unreadable'):
            node.on_unreadable(error)
            return
        node.get_logger().error(f'message dropped, {type(error).__name__}: {error}',
                                throttle_duration_sec=_LOG_PERIOD_S)
