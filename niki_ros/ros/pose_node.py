"""The lifecycle node niki_pose: images in, bodies out."""

from __future__ import annotations

import sys
import time
import traceback
from typing import Callable, Optional

from diagnostic_msgs.msg import DiagnosticArray
from niki_ros.common.errors import NikiError
from niki_ros.common.settings import PipelineConfig
from niki_ros.ros.diagnostics import Health, OK, REMEDIES, WARN, what_runs
from niki_ros.ros.frames import FrameHandler
from niki_ros.ros.inputs import SideInputs
from niki_ros.ros.parameters import NodeParameters
from niki_ros.ros.process import release_memory, run_node
from niki_ros.ros.publishers import Outputs
from niki_ros.ros.qos import image_qos, info_qos, offers_too_little, overridable
from niki_ros.ros.settings import LaunchConfig, NodeConfig
from niki_ros.ros.topics import (
    elsewhere,
    image_topic,
    others_who_publish,
    what_is_there_instead,
    who_doubles,
)
from niki_ros.ros.watch import Watch
from niki_ros.ros.worker import NewestWorker
from niki_ros.scene.image_rotation import AUTO
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

SUCCESS, ERROR = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.ERROR
# numbers that grow faster than any camera sends are those of another publisher, not a loss
_MAX_RATE_HZ = 250


def _load_pipeline(config: PipelineConfig):
    from niki_ros.loading.pipeline import load_pipeline
    return load_pipeline(config, wait=False)


class PoseNode(LifecycleNode):
    """
    Its topics and parameters are in the README.

    :param make_pipeline: ``PipelineConfig`` → ``Pipeline``; None = the one that ships.
    """

    def __init__(self, make_pipeline: Optional[Callable] = None, **options):
        """Declare the parameters; nothing is loaded before ``configure``."""
        super().__init__('niki_pose', **options)
        self._make_pipeline = make_pipeline or _load_pipeline
        self._pipeline_config, self._config = PipelineConfig(), NodeConfig()
        self.exit_code: Optional[int] = None
        self.health = Health()
        self.state = 'unconfigured'
        self.reason = ''
        self._pipeline = self._outputs = self._handler = self._worker = self._beside = None
        self._overlay = None
        self._subscriptions_on: list = []
        self._sequence = self._heard_ns = 0
        self._model = ''
        self._refused: set = set()
        self._outdated = False
        self._watch = Watch(self._config.health, self.health, self._warn)
        launch = LaunchConfig()
        self._settings = NodeParameters(self, self._pipeline_config, self._config, launch,
                                        until_active=(self._pipeline_config, self._config))
        self.add_on_set_parameters_callback(self._on_parameters)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        # not the node's own clock: with use_sim_time that stands still until somebody sets it
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self.create_timer(
            self._config.diagnostics_period_s, self._on_timer, clock=steady)
        self._start = (self.create_timer(0.0, self._on_start, clock=steady)
                       if launch.autostart else None)
        self._guard_transitions()

    def on_configure(self, state):
        """Load the models and create the publishers."""
        return self._transition('inactive', self._configure)

    def on_activate(self, state):
        """Subscribe."""
        return self._transition('active', self._activate)

    def on_deactivate(self, state):
        """Stop listening and publishing; the models stay."""
        fatal = self._worker.fatal if self._worker else None
        result = self._transition('inactive', self._deactivate)
        if fatal:
            self.reason = fatal
            return ERROR
        return result

    def on_cleanup(self, state):
        """Free the models."""
        return self._transition('unconfigured', self._free)

    def on_shutdown(self, state):
        """Free everything, whatever the state was."""
        return self._transition('finalized', self._free)

    def on_error(self, state):
        """Say why, free everything, and be ready to be configured again."""
        self.get_logger().error(f'error state: {self.reason}')
        try:
            self._free()
        finally:
            self.state = 'error'
            self._publish_diagnostics()
            self.state = 'unconfigured'
        return SUCCESS

    def on_unreadable(self, error: Exception):
        """Count what came and cannot even be read as a message."""
        self._warn('message_unreadable', f'message dropped, {type(error).__name__}: {error}')

    def close(self):
        """End the thread and free everything, before ROS is shut down."""
        self._free()

    def _transition(self, state: str, work: Callable):
        """Do the work of one transition; an error is remembered with its reason."""
        try:
            work()
        except NikiError as error:
            self.reason = str(error)
            return ERROR
        except Exception as error:  # rclpy would swallow it without a word
            self.reason = f'{type(error).__name__}: {error}'
            self.get_logger().error(f'in the transition to {state}: {traceback.format_exc()}')
            return ERROR
        self.state, self.reason = state, ''
        return SUCCESS

    def _guard_transitions(self):
        """Refuse what the state does not allow; rclpy's own answer ends the process."""
        service, = [one for one in self.services if one.srv_name.endswith('/change_state')]
        change = service.callback

        def guarded(request, response):
            try:
                return change(request, response)
            except RuntimeError as error:
                self.get_logger().warning(f'transition {request.transition.id} refused in state '
                                          f'{self.state}: {error}')
                response.success = False
                return response
        service.callback = guarded

    def _configure(self):
        self._outdated = False
        self._pipeline = self._make_pipeline(self._pipeline_config)
        self.health = Health()
        self._outputs = Outputs(self, self._pipeline.solver.skeleton, self._config,
                                self._pipeline_config.tracking.keep_s)
        self._overlay = self._outputs.overlay
        if self._settings.foreign:
            self.health.hold('parameter_foreign', self._settings.foreign,
                             WARN if self._settings.perhaps_misspelled else OK)
        if self._outputs.missing:
            self._hold('hri_msgs_missing', self._outputs.missing)
        self.get_logger().info(f'configured: {what_runs(self._pipeline.describe())}')

    def _activate(self):
        if self._outdated:
            self._free()
            self._configure()
        topic, kind = image_topic(self, self._config.image_transport)
        info_topic, full_name = map(self.resolve_topic_name, ('camera_info', topic))
        handler = FrameHandler(self._pipeline, self._outputs, self.health, self._config,
                               self._warn, info_topic, full_name)
        handler.now_ns = lambda: self.get_clock().now().nanoseconds
        handler.overlay_wanted = lambda: self._overlay.get_subscription_count() > 0
        handler.publish_overlay = self._overlay.publish
        self._beside = handler.side_inputs = SideInputs(
            self, self._listen, self._config, self._pipeline_config.observer.min_score,
            self._warn, find_up=self._pipeline_config.image_rotation == AUTO)
        self._pipeline.reset()
        self._handler, self._sequence = handler, 0
        self._worker = NewestWorker(handler.handle, self.health.skip, self._failed)
        self._subscriptions_on = [
            self._listen(CameraInfo, 'camera_info', handler.set_camera_info, info_qos),
            self._subscribe(kind, topic, self._on_image, image_qos)]
        self._watch = Watch(self._config.health, self.health, self._warn, full_name)
        self._watch.elsewhere = lambda: elsewhere(self, full_name, Image, CompressedImage)
        self.get_logger().info(f'active: reading {full_name} and {info_topic}')

    def _subscribe(self, kind, topic: str, callback, profile):
        """Subscribe with the QoS of the settings; a publisher that offers less gets a name."""
        def refused(policy):
            self._refused.add(name)
            self._hold('qos_incompatible', f'{name}: a publisher offers less {policy} than was '
                       'asked for, so nothing of it arrives')
        name = self.resolve_topic_name(topic)
        return self.create_subscription(
            kind, topic, callback, profile(self._config.qos),
            event_callbacks=offers_too_little(refused), qos_overriding_options=overridable())

    def _listen(self, kind, topic: str, callback, profile):
        """Subscribe likewise; what comes ends the complaint about its publisher."""
        name = self.resolve_topic_name(topic)

        def heard(message):
            self._heard(name)
            callback(message)
        return self._subscribe(kind, topic, heard, profile)

    def _heard(self, topic: str):
        if topic in self._refused:
            self._refused.remove(topic)
            if not self._refused:
                self.health.release('qos_incompatible')

    def _deactivate(self):
        for subscription in self._subscriptions_on:
            self.destroy_subscription(subscription)
        self._subscriptions_on = []
        if self._worker:
            self._worker.stop()
        if self._outputs:
            self._outputs.end()
        if self._beside:
            self._beside.destroy()
        self._beside = None
        self._worker = self._handler = None

    def _free(self):
        self._deactivate()
        if self._outputs:
            self._outputs.destroy()
        if self._pipeline:
            self._pipeline.close()
        self._pipeline = self._outputs = self._overlay = None
        release_memory()

    def _on_image(self, message, info):
        """Hand the image over; what DDS has overwritten meanwhile is seen in the numbering."""
        now_ns = time.monotonic_ns()
        number = info.get('publication_sequence_number') or 0
        lost = number - self._sequence - 1 if self._sequence else 0
        if not 0 < lost <= _MAX_RATE_HZ * 1e-9 * (now_ns - self._heard_ns):
            lost = 0
        self._sequence, self._heard_ns = number, now_ns
        self._watch.heard()
        self._heard(self._watch.topic)
        self.health.arrived(1 + lost, lost)
        if self._worker:
            self._worker.put(message)
        else:
            self.health.skip('deactivated')

    def _warn(self, name: str, text: str, level: Optional[bytes] = None):
        """Count a fault; say it, but not more often than every five seconds."""
        if self.health.fault(name, text, level):
            self._say(name, text)

    def _hold(self, name: str, text: str):
        """Report a fault that lasts; it is said once."""
        if self.health.hold(name, text):
            self._say(name, text)

    def _say(self, name: str, text: str):
        remedy = REMEDIES.get(name, 'see the log')
        self.get_logger().warning(f'{name}: {text}. Remedy: {remedy}')

    def _failed(self, text: str):
        """Count a failure of the pipeline."""
        if self.health.fault('inference_failed', text.splitlines()[0]):
            self.get_logger().error(f'inference_failed: {text}')

    def _on_parameters(self, parameters):
        """Check a change, and let it act: at once, or when the node is activated again."""
        values = self._settings.owned(parameters)
        result = self._settings.validate(values)
        later = self._settings.not_live(values)
        if result.successful and later and self.state == 'active':
            return SetParametersResult(successful=False, reason=f'{later[0]} can be set while the '
                                       'node is unconfigured or inactive, and it is active')
        if result.successful:
            self._settings.apply(values)
            self._outdated = self._outdated or bool(later)
            self._timer.timer_period_ns = round(self._config.diagnostics_period_s * 1e9)
            now = {name: value for name, value in values.items() if name not in later}
            if self._pipeline:
                self._pipeline.update(self._settings.of(self._pipeline_config, now))
            if self._outputs:
                self._outputs.keep_s = self._pipeline_config.tracking.keep_s
        return result

    def _on_start(self):
        """Configure and activate by itself, unless somebody else has begun to."""
        self._start.cancel()
        if self.state != 'unconfigured':
            return
        if self.trigger_configure() != SUCCESS or self.trigger_activate() != SUCCESS:
            self.exit_code = 1

    def _on_timer(self):
        """Publish diagnostics; notice silence, slowness, and a worker that gave up."""
        if self.state == 'active':
            self._watch.check()
            self._check_topics()
        topic = self.resolve_topic_name('joints') if self._outputs else ''
        for name, text in who_doubles(self, topic).items():
            self._warn(name, text)
        self._check_clock()
        self._publish_diagnostics()
        if self._worker and self._worker.fatal:
            self.trigger_deactivate()

    def _check_topics(self):
        """Say where something else is published than what is read."""
        self._handler.infos_elsewhere = elsewhere(
            self, self.resolve_topic_name('camera_info'), CameraInfo)
        for one in (*self._subscriptions_on, *self._beside.named):
            found = what_is_there_instead(self, one.topic_name, one.msg_type)
            for name, text in found.items():
                self._warn(name, text)
        topic = self._outputs.lists_topic if self._outputs else ''
        others = others_who_publish(self, topic) if topic else []
        if others:
            self._warn('tracked_shared', f'{" and ".join(others)} publish on {topic} too: each '
                       'list there is whole, so people of the others come and go with every one')

    def _check_clock(self):
        """Say where the time is to come from /clock, and does not."""
        if self.get_clock().now().nanoseconds == 0:
            self._hold('no_clock', 'use_sim_time is true, and nothing comes on /clock')
        else:
            self.health.release('no_clock')

    def _publish_diagnostics(self):
        about = dict(self._pipeline.describe()) if self._pipeline else {}
        if self._beside and self._beside.up_frame:
            about['gravity_frame'] = self._beside.up_frame
        if self.reason:
            about['reason'] = self.reason
        name = self.get_fully_qualified_name().lstrip('/')
        message = DiagnosticArray(status=self.health.report(name, self.state, about))
        message.header.stamp = self.get_clock().now().to_msg()
        if self.reason:
            message.status[0].level = type(message.status[0]).ERROR
            message.status[0].message = self.reason
        self._diagnostics.publish(message)
        model = about.get('observer_model', '')
        if self._model and model and model != self._model:
            self.get_logger().info(f'the front end runs {model} now: '
                                   f'{about.get("observer_auto", "")}')
        self._model = model


def main(args=None) -> int:
    """Run the node."""
    return run_node(PoseNode, args, 'niki_pose')


if __name__ == '__main__':
    sys.exit(main())
