"""Puts a run together from the arguments of ``niki-train look``."""

from dataclasses import replace
from pathlib import Path
from typing import Optional

from niki_ros.common.errors import ConfigError
import numpy as np
import torch

from niki_training.data.store import UNKNOWN
from niki_training.export.niki import ORIGIN
from niki_training.look.checkpoint import INDEX, read_checkpoint
from niki_training.look.crop_batches import RenderedCrops, StoredCrops
from niki_training.look.export import read_start
from niki_training.look.features import store_features, StoredFeatures
from niki_training.look.frozen_layers import FrozenBatches, FrozenLayers
from niki_training.look.network import HEADS, LookConfig, LookNet
from niki_training.look.photograph_batches import PhotographBatches
from niki_training.look.photographs import Photographs, read_photographs
from niki_training.look.progress import QuickScores
from niki_training.look.settings import LookTrainConfig
from niki_training.look.train import best_device, load_weights, LookTrainer, wait_for_all
from niki_training.look.video_crops import read_video_crops
from niki_training.render.batch.bank import facts_of_run, load_bank
from niki_training.render.batch.crop_shards import has_crops, read_crops
from niki_training.render.batch.renderer import BatchRenderer
from niki_training.train.trainer import join_process_group

_RENDERED = (
    'Rendered crops of bodies of Anny (Apache-2.0, assets CC0) in clothes made for MakeHuman, in '
    'poses of motion capture. ')
_PHOTOGRAPHED = (' {} crops of photographs of COCO 2017 that are free for any use, with its '
                 'keypoints (CC BY 4.0, COCO consortium).')
_CPU_BATCH, _GPU_BATCH, _PHOTOGRAPH_RATIO = 24, 192, 3
_CPU_FROZEN_SIDE_PX = 16
_ERROR_WIDTH_RATIO = 3  # width of the hidden layers over that of the expected errors
_PHOTOGRAPH_FEATURES = 4096  # augmented crops of photographs beside those that are stored
# crops of the scores in the log: on one CPU core they take four seconds of a minute
_VAL_CROPS, _LOG_PHOTOGRAPHS, _VIDEO_EVERY = 48, 36, 2


def trainer_of(args) -> LookTrainer:
    """Return the trainer of a run; photographs that are cut here are kept in its folder."""
    group = join_process_group()
    device = best_device()
    network = _network_config(args, device)
    if args.stored and not network.trainable_from:
        raise ConfigError('--stored needs frozen layers: give --frozen-side 16 or 8')
    config = _train_config(args, device)
    args.out.mkdir(parents=True, exist_ok=True)
    crops, facts = _open_crops(args, device, group)
    photographs = _open_photographs(args, group)
    batches = None
    if photographs is not None and config.photographs:
        batches = PhotographBatches(photographs.of_split(False), device, args.seed, group[0])
        facts['training_data'] += _PHOTOGRAPHED.format(len(batches))
    if network.trainable_from and (args.stored or device.type == 'cpu'):
        crops, batches = _of_frozen_layers(args, network, crops, batches, group, facts)
    report = _quick_scores(args, photographs) if group[0] == 0 else None
    return LookTrainer(config, network, args.out, crops, batches, args.start_from, facts, report,
                       group)


def _network_config(args, device) -> LookConfig:
    if args.head not in HEADS:
        raise ConfigError(f'--head {args.head}: expected one of {", ".join(HEADS)}')
    side_px = args.frozen_side
    if side_px is None:
        side_px = _CPU_FROZEN_SIDE_PX if device.type == 'cpu' else 0
    config = LookConfig(size=args.size, head=args.head, lifts=not args.no_lift)
    if args.width:
        config = replace(config, width=args.width,
                         error_width=max(args.width // _ERROR_WIDTH_RATIO, 1))
    if not side_px:
        return config
    return replace(config, trainable_from=LookNet(config).trunk.last_of_side(side_px, True))


def _train_config(args, device) -> LookTrainConfig:
    is_cpu = device.type == 'cpu'
    batch = args.batch or (_CPU_BATCH if is_cpu else _GPU_BATCH)
    count = (batch // _PHOTOGRAPH_RATIO if args.photographs_batch is None
             else args.photographs_batch)
    config = LookTrainConfig(
        batch=batch, photographs=count if args.photographs else 0, seed=args.seed,
        minutes=0.0 if args.steps else args.minutes, steps=args.steps,
        precision=args.precision or ('fp32' if is_cpu else 'fp16'))
    if args.bank:  # no crop is seen twice
        config = replace(config, dropout=0.0)
    if args.trunk_rate is not None:
        config = replace(config, trunk_rate=args.trunk_rate)
    if args.head_rate is not None:
        config = replace(config, head_rate=args.head_rate)
    return config.check()


def _open_crops(args, device, group) -> tuple:
    """Return the source of rendered crops, and facts of them for the manifest."""
    if args.bank:
        bank = load_bank(args.bank)
        return (RenderedCrops(BatchRenderer(bank, device, args.seed), *group),
                training_facts([facts_of_run(bank)]))
    crops = read_crops(args.crops, 'train')
    facts = training_facts([one['bank'] for one in crops.facts])
    facts['rendered']['crops'] = len(crops)
    return StoredCrops(crops, device, args.seed, *group), facts


def training_facts(banks: list[dict]) -> dict:
    """Return what the manifest of an exported network says about its rendered crops."""
    licences = {bank.get('licence', UNKNOWN) for bank in banks}
    motion = ORIGIN if licences == {UNKNOWN} else (
        f'Motion of a store; licence: {", ".join(sorted(licences))}.')
    return {'training_data': _RENDERED + motion,
            'credits': list(dict.fromkeys(line for bank in banks
                                          for line in bank.get('credits', []))),
            'rendered': {'banks': [{name: value for name, value in bank.items()
                                    if name != 'credits'} for bank in banks]}}


def _open_photographs(args, group) -> Optional[Photographs]:
    """Return all photographs; the first process cuts them, and the others read what it wrote."""
    if args.photographs is None:
        return None
    kept = args.out / f'photographs-{args.size}.npz'
    if group[0] == 0 and not kept.is_file():
        read_photographs(args.photographs, args.size).write(kept)
    wait_for_all(group)
    return read_photographs(kept, args.size)


def _of_frozen_layers(args, network: LookConfig, crops, batches, group, facts: dict) -> list:
    """Return sources of what the frozen layers return, stored or computed as needed."""
    layers = FrozenLayers(_first_net(args, network), torch.get_num_threads())
    facts = {'size': network.size, 'seed': args.seed, 'facts': facts}
    out: list = []
    for name, source, count in (('crops', crops, args.stored),
                                ('photographs', batches, _PHOTOGRAPH_FEATURES)):
        out.append(None if source is None else FrozenBatches(layers, source))
        if source is not None and args.stored:
            folder = (args.features or args.out) / f'features-{name}'
            if group[0] == 0:
                store_features(out[-1], count, folder, facts)
            wait_for_all(group)
            out[-1] = StoredFeatures(folder, best_device(), args.seed, *group)
    return out


def _first_net(args, network: LookConfig) -> LookNet:
    """Return a network whose frozen layers are those of this run, which a run never changes."""
    net = LookNet(network)
    if (args.out / INDEX).exists():
        load_weights(net, read_checkpoint(args.out), args.out)
    elif args.start_from is not None:
        load_weights(net, read_start(args.start_from), args.start_from)
    return net.to(best_device())


def _quick_scores(args, photographs: Optional[Photographs]) -> QuickScores:
    """Return the scores of the log, on few crops of each kind that is there."""
    folder: Optional[Path] = args.val_crops or (args.crops[0] if args.crops else None)
    rendered = None
    if folder is not None and has_crops(folder, 'val'):
        crops = read_crops([folder], 'val')
        rendered = crops[np.arange(min(len(crops), _VAL_CROPS))]
    held_out = photographs.of_split(True) if photographs is not None else None
    video = read_video_crops(args.video) if args.video else None
    return QuickScores(rendered, held_out.first(_LOG_PHOTOGRAPHS) if held_out else None,
                       video.thinned(_VIDEO_EVERY, ('followed',)) if video else None)
