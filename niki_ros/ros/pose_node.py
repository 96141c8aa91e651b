"""The lifecycle node ``niki_pose``: subscribes to images, publishes bodies."""

import sys
from typing import Any, Callable, Optional

from diagnostic_msgs.msg import DiagnosticArray
from niki_ros.common.settings import PipelineConfig
from niki_ros.ros.activation import Activation
from niki_ros.ros.body_publisher import BodyPublisher
from niki_ros.ros.faults import ERROR as ERROR_LEVEL
from niki_ros.ros.faults import FaultLog, OK, WARN
from niki_ros.ros.graph_checks import duplicate_node_faults, other_publishers
from niki_ros.ros.health import Health, node_statuses, pipeline_summary
from niki_ros.ros.lifecycle import ERROR, ReportingLifecycleNode, SUCCESS
from niki_ros.ros.parameters import NodeParameters
from niki_ros.ros.process import (
    keep_memory,
    prepare_log,
    ProcessNode,
    release_memory,
    run_node,
)
from niki_ros.ros.settings import LaunchConfig, NodeConfig
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType


def pipeline_for_node(config: PipelineConfig):
    """
    Return the pipeline of the settings, which does not wait for a late search for people.

    It is warmed up: otherwise the first image takes a second, and the images behind it are lost.
    """
    from niki_ros.benchmarks.check_images import check_images
    from niki_ros.loading.load_pipeline import load_pipeline
    pipeline = load_pipeline(config, wait=False)
    try:
        person = check_images()[0]
        pipeline.warm_up(person.image_rgb, person.boxes_px)
    except BaseException:
        pipeline.close()
        raise
    return pipeline


class PoseNode(ProcessNode, ReportingLifecycleNode):
    """
    Tracks people in the images of one camera; docs/topics.md describes its topics.

    :param make_pipeline: ``PipelineConfig`` → ``Pipeline``.
    :ivar config: settings of the node; ``pipeline_config`` has those of the pipeline.
    :ivar pipeline: made by ``configure``, as is ``publisher``; None without one.
    :ivar activation: made by ``activate``, None while the node is not active.
    :ivar health: counters since ``configure``. :ivar faults: faults since then.
    """

    def __init__(self, make_pipeline: Optional[Callable] = None, **options):
        """Declare the parameters; the models are loaded by the transition ``configure``."""
        super().__init__('niki_pose', **options)
        self._make_pipeline = make_pipeline or pipeline_for_node
        self.pipeline_config, self.config = PipelineConfig(), NodeConfig()
        self.health, self.faults = Health(), FaultLog(self.get_logger())
        self.pipeline: Any = None
        self.publisher: Any = None
        self.activation: Optional[Activation] = None
        self._observer_model = ''
        # parameters have changed that take effect in a new pipeline
        self._is_outdated = False
        launch = LaunchConfig()
        self._settings = NodeParameters(self, self.pipeline_config, self.config, launch,
                                        until_active=(self.pipeline_config, self.config))
        self.add_on_set_parameters_callback(self._on_parameters)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        # not the clock of the node, which stands still with use_sim_time until /clock is published
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self.create_timer(
            self.config.diagnostics_period_s, self._on_timer, clock=steady)
        if launch.autostart:
            self._autostart_timer = self.create_timer(0.0, self._on_autostart, clock=steady)

    def on_configure(self, state):
        return self.run_transition('inactive', self._configure)

    def on_activate(self, state):
        return self.run_transition('active', self._activate)

    def on_deactivate(self, state):
        """Unsubscribe; the models stay loaded."""
        fatal = self.activation.fatal if self.activation else None
        result = self.run_transition('inactive', self._deactivate)
        if fatal:
            self.reason = fatal
            return ERROR
        return result

    def on_cleanup(self, state):
        return self.run_transition('unconfigured', self._free)

    def on_shutdown(self, state):
        return self.run_transition('finalized', self._free)

    def on_error(self, state):
        """Report the reason and free everything, so that the node can be configured again."""
        self.get_logger().error(f'error state: {self.reason}')
        try:
            self._free()
        finally:
            self.state = 'error'
            self._publish_diagnostics()
            self.state = 'unconfigured'
        return SUCCESS

    def on_unreadable(self, error: Exception) -> None:
        """Count a message that rclpy could not deserialize."""
        self.faults.warn('message_unreadable', f'message dropped, {type(error).__name__}: {error}')

    def close(self) -> None:
        """Join the thread and free everything, before ROS is shut down."""
        self._free()

    def _configure(self) -> None:
        self._is_outdated = False
        self.pipeline = self._make_pipeline(self.pipeline_config)
        self.health, self.faults = Health(), FaultLog(self.get_logger())
        self.publisher = BodyPublisher(self, self.pipeline.solver.skeleton, self.config,
                                        self.pipeline_config.tracking, self.faults)
        if self._settings.foreign:
            level = WARN if self._settings.perhaps_misspelled else OK
            self.faults.hold('parameter_foreign', self._settings.foreign, level, log=False)
        prepare_log()
        keep_memory()
        self.get_logger().info(f'configured: {pipeline_summary(self.pipeline.describe())}')

    def _activate(self) -> None:
        if self._is_outdated:
            self._free()
            self._configure()
        self.activation = Activation(self, self.pipeline, self.publisher, self.config,
                                      self.health, self.faults)
        self.get_logger().info(f'active: reading {self.activation.image_topic} and '
                               f'{self.activation.info_topic}')

    def _deactivate(self) -> None:
        if self.activation:
            self.activation.stop()
        self.activation = None
        if self.publisher:
            self.publisher.clear_tracked()

    def _free(self) -> None:
        self._deactivate()
        if self.publisher:
            self.publisher.destroy()
        if self.pipeline:
            self.pipeline.close()
        self.pipeline = self.publisher = None
        release_memory()

    def _on_parameters(self, parameters) -> SetParametersResult:
        """Check a change; it takes effect at once, or when the node is activated again."""
        values = self._settings.owned(parameters)
        result = self._settings.validate(values)
        later = self._settings.not_live(values)
        if result.successful and later and self.state == 'active':
            return SetParametersResult(successful=False, reason=f'{later[0]} can be set while the '
                                       'node is unconfigured or inactive, and it is active')
        if result.successful:
            self._settings.apply(values)
            self._is_outdated = self._is_outdated or bool(later)
            self._timer.timer_period_ns = round(self.config.diagnostics_period_s * 1e9)
            live = {name: value for name, value in values.items() if name not in later}
            if self.pipeline:
                self.pipeline.update(self._settings.of(self.pipeline_config, live))
        return result

    def _on_autostart(self) -> None:
        """Configure and activate, unless a lifecycle manager has begun to."""
        self._autostart_timer.cancel()
        if self.state != 'unconfigured':
            return
        if self.trigger_configure() != SUCCESS or self.trigger_activate() != SUCCESS:
            self.exit_code = 1

    def _on_timer(self) -> None:
        """Check the topics and publish diagnostics; deactivate after repeated failures."""
        if self.activation:
            self.activation.check()
        self._check_other_publishers()
        if self.get_clock().now().nanoseconds == 0:
            self.faults.hold('no_clock', 'use_sim_time is true, but /clock has no messages')
        else:
            self.faults.release('no_clock')
        self._publish_diagnostics()
        if self.activation and self.activation.fatal:
            self.trigger_deactivate()

    def _check_other_publishers(self) -> None:
        topic = self.resolve_topic_name('joints') if self.publisher else ''
        for name, text in duplicate_node_faults(self, topic).items():
            self.faults.warn(name, text)
        topic = self.publisher.tracked_topic if self.publisher and self.activation else ''
        others = other_publishers(self, topic) if topic else []
        if others:
            self.faults.warn('tracked_shared', f'{" and ".join(others)} publish on {topic} too: '
                             'each list replaces the one before, so bodies disappear and return '
                             'with every list')

    def _publish_diagnostics(self) -> None:
        about = dict(self.pipeline.describe()) if self.pipeline else {}
        if self.activation and self.activation.up_frame:
            about['gravity_frame'] = self.activation.up_frame
        if self.reason:
            about['reason'] = self.reason
        name = self.get_fully_qualified_name().lstrip('/')
        statuses = node_statuses(name, self.state, about, self.health, self.faults)
        if self.reason:
            statuses[0].level, statuses[0].message = ERROR_LEVEL, self.reason
        message = DiagnosticArray(status=statuses)
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)
        model = about.get('observer_model', '')
        # observer.model:=auto changes it
        if self._observer_model and model and model != self._observer_model:
            self.get_logger().info(f'the front end now uses the model {model}: '
                                   f'{about.get("observer_auto", "")}')
        self._observer_model = model


def main(args=None) -> int:
    return run_node(PoseNode, args, 'niki_pose')


if __name__ == '__main__':
    sys.exit(main())
