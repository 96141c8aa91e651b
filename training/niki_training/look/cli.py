"""
Train a network that looks at people, on rendered crops and photographs; a run is resumed.

    niki-data bank MOTION --out bank --split train
    niki-data crops bank --out crops --count 20000
    niki-train look --crops crops --photographs coco_people --out runs/look --minutes 60
    niki-train look --bank bank --photographs coco_people --out runs/look2 --from runs/look
    torchrun --nproc-per-node 8 -m niki_training.cli.train look --bank bank --out runs/look

The run's folder has the checkpoint last.json with its pieces of at most 15 MB, log.csv,
progress.png, and photographs-SIZE.npz, which --photographs takes on machines without the pictures.
A run that was killed goes on from its last minute by the same command, also on another machine.
"""

from pathlib import Path

from niki_training.common.arguments import positive_int

_SIDES_PX = (64, 32, 16, 8, 4, 2)


def add_arguments(parser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument('--crops', type=Path, action='append', metavar='DIR',
                        help='folder of niki-data crops; may be repeated')
    source.add_argument('--bank', type=Path, help='of niki-data bank: render crops as needed')
    parser.add_argument('--photographs', type=Path,
                        help="folder like coco_people, or a run's photographs-SIZE.npz")
    parser.add_argument('--out', type=Path, required=True, help='folder of the run')
    parser.add_argument('--size', default='full', choices=('lite', 'full', 'heavy'))
    parser.add_argument('--head', default='kinematic', help='direct joint, direct parameter or '
                        'kinematic (kinematic)')
    parser.add_argument('--minutes', type=float, default=14.0, help='of the whole run (14)')
    parser.add_argument('--steps', type=int, default=0, help='end after these steps instead')
    parser.add_argument('--from', type=Path, dest='start_from', metavar='CHECKPOINT',
                        help='run, checkpoint or model folder whose weights begin this run')
    _add_options(parser)


def _add_options(parser) -> None:
    """Add the arguments that most runs leave as they are."""
    parser.add_argument('--batch', type=positive_int,
                        help='rendered crops of a step and process (24 on a CPU, 192 on a GPU)')
    parser.add_argument('--photographs-batch', type=int,
                        help='crops of photographs of a step and process (a third of --batch)')
    parser.add_argument('--frozen-side', type=int, choices=(0, *_SIDES_PX),
                        help='freeze the trunk up to its last maps of this side, pixels; 0 = '
                        'train all of it, 2 = none of it (16 on a CPU, 0 on a GPU)')
    parser.add_argument('--stored', type=int, default=0, metavar='COUNT',
                        help='compute what the frozen layers return for this many augmented crops '
                        'once, and store it: faster on a CPU')
    parser.add_argument('--features', type=Path, metavar='DIR',
                        help='folder of what is stored, for several runs (that of the run)')
    parser.add_argument('--width', type=positive_int, help='of the hidden layers (768)')
    parser.add_argument('--no-lift', action='store_true',
                        help='joints without the layers of the lifter: a smaller network, for '
                        'pipelines with a lifter of their own')
    parser.add_argument('--precision', choices=('fp32', 'tf32', 'fp16'),
                        help='fp32 on a CPU, fp16 on a GPU')
    parser.add_argument('--trunk-rate', type=float, help='learning rate of the trunk (4e-5)')
    parser.add_argument('--head-rate', type=float, help='learning rate of new layers (1e-3)')
    parser.add_argument('--val-crops', type=Path,
                        help='folder with crops of val, for the log (the first of --crops)')
    parser.add_argument('--video', type=Path, help='Pose2Sim folder, or crops kept by '
                        'niki-evaluate look, for the log; they are not trained on')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--threads', type=positive_int, help='CPU threads (all cores)')


def main(args) -> int:
    import torch

    from niki_training.look.progress import RunLog
    from niki_training.look.run import trainer_of
    if args.threads:
        torch.set_num_threads(args.threads)
    trainer = trainer_of(args)
    trainer.run(RunLog(args.out))
    trainer.leave()
    return 0
