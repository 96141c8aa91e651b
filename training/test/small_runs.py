"""Runs of seconds: the smallest networks that have every part."""

from niki_training.train.settings import TrainConfig

SMALL = ('steps=4', 'batch=16', 'epoch=2', 'net.blocks=2', 'net.hidden=16', 'net.twist_blocks=2',
         'net.twist_hidden=16', 'net.temporal_blocks=2', 'net.temporal_hidden=16',
         'net.attention=8', 'bf16=false', 'frames=18')


def small_config(kind='two_stage', **more):
    """Return the settings of such a run; ``more`` changes further ones."""
    config = TrainConfig()
    given = [f'{name}={value}' for name, value in more.items()]
    for item in (*SMALL, f'net.kind={kind}', *given):
        config.set(*item.split('=', 1))
    return config
