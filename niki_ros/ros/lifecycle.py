"""A lifecycle node that reports why a transition has failed."""

import traceback
from typing import Callable

from niki_ros.common.errors import NikiError
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn

SUCCESS, ERROR = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.ERROR


class ReportingLifecycleNode(LifecycleNode):
    """A lifecycle node with its ``state``, and the ``reason`` of a failed transition, else ''."""

    def __init__(self, name: str, **options):
        """Replace the service callback, by which rclpy ends the process after a wrong request."""
        super().__init__(name, **options)
        self.state = 'unconfigured'
        self.reason = ''
        service, = [one for one in self.services if one.srv_name.endswith('/change_state')]
        self._change_state, service.callback = service.callback, self._on_change_state

    def run_transition(self, state: str, work: Callable[[], None]) -> TransitionCallbackReturn:
        """Do the work of a transition to ``state``; after an error keep its reason."""
        try:
            work()
        except NikiError as error:
            self.reason = str(error)
            return ERROR
        except Exception as error:  # rclpy hides it
            self.reason = f'{type(error).__name__}: {error}'
            self.get_logger().error(f'transition to {state} failed: {traceback.format_exc()}')
            return ERROR
        self.state, self.reason = state, ''
        return SUCCESS

    def _on_change_state(self, request, response):
        try:
            return self._change_state(request, response)
        except RuntimeError as error:
            self.get_logger().warning(f'transition {request.transition.id} refused in state '
                                      f'{self.state}: {error}')
            response.success = False
            return response
