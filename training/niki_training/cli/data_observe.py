"""Run a front end on the images of rendered shards and store pairs with the ground truth."""

from niki_training.render.cli import add_observe_arguments as add_arguments
from niki_training.render.cli import observe_shards as main

__all__ = ['add_arguments', 'main']
