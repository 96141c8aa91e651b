"""Runs of seconds: the smallest networks that have every part."""

from niki_training.train.settings import TrainConfig

SMALL = ('steps=4', 'batch=16', 'epoch=2', 'net.blocks=2', 'net.hidden=16', 'net.twist_blocks=2',
         'net.twist_hidden=16', 'net.temporal_blocks=2', 'net.temporal_hidden=16',
         'net.attention=8', 'bf16=false', 'frames=18')


def small_config(kind='two_stage', **more):
    """Return the settings of such a run; ``more`` changes further ones."""
    config = TrainConfig()
    for item in (*SMALL, f'net.kind={kind}', *(f'{name}={value}' for name, value in more.items())):
        config.set(*item.split('=', 1))
    return config


def small_settings(*more) -> list:
    """Return the options ``--set`` of such a run."""
    return [word for item in (*SMALL, *more) for word in ('--set', item)]


def small_command(store, out, *more) -> list:
    """Return the arguments of ``niki-train`` for such a run."""
    return ['--data', str(store), '--out', str(out), '--threads', '1', *small_settings(*more)]
