"""Readers of trained networks: checkpoints of niki-train, and model folders."""

from pathlib import Path

from niki_ros.common.errors import ModelError
import torch

from niki_training.files.archives import read_record, reason
from niki_training.networks.niki import MlpNet, NetConfig, NikiNet
from niki_training.networks.temporal import TemporalNet
from niki_training.train.settings import TrainConfig


def build_net(config: NetConfig, bf16: bool = False):
    """Return the untrained network of ``config``; its products in bfloat16 where ``bf16``."""
    networks = {'mlp': MlpNet, 'temporal': TemporalNet}
    return networks.get(config.kind, NikiNet)(config, bf16)


def load_checkpoint(path):
    """Return the averaged network of a checkpoint, its settings and the whole record."""
    record = read_record(path, 'niki-train')
    try:
        config = TrainConfig.from_dict(record['config'])
        net = build_net(config.net)
        net.load_state_dict(record['ema'])
    except (AttributeError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f'{path}: not a checkpoint of niki-train ({reason(error)})') from error
    broken = [key for key, value in record['ema'].items() if not torch.isfinite(value).all()]
    if broken:
        raise ModelError(f'{path}: {broken[0]} is not finite: that run has failed; use an earlier '
                         'checkpoint, or train again with a smaller learning_rate')
    return net.eval(), config, record


def load_network(path: Path):
    """Return the network of a checkpoint or of a model folder."""
    if Path(path).is_dir():
        from niki_training.export.niki import load_exported
        return load_exported(path)[0]
    return load_checkpoint(path)[0]


def start_from_network(net, path: Path) -> None:
    """Copy the weights of a trained network; a temporal one also takes those of a frame."""
    found = load_network(path)
    try:
        if isinstance(net, TemporalNet) and not isinstance(found, TemporalNet):
            net.start_from(found)
            return
        # swing_norm is used by the losses only, measured on the motion, and not in every file
        weights = {name: value for name, value in found.state_dict().items()
                   if 'swing_norm' not in name}
        missing = [name for name in net.load_state_dict(weights, strict=False).missing_keys
                   if 'swing_norm' not in name]
        if missing:
            raise AttributeError(f'it has no {missing[0]}')
    except (RuntimeError, AttributeError) as error:
        raise ModelError(f'{path} has other settings of net than this run; give it the same '
                         f'--set net.… ({str(error).splitlines()[0]})') from error
