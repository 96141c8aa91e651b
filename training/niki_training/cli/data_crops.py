"""
Render crops of people with exact truth from a bank of niki-data bank.

An interrupted run is resumed at whole shards of 512 crops.
"""

from pathlib import Path

from niki_training.common.arguments import positive_int


def add_arguments(parser) -> None:
    parser.add_argument('bank', type=Path, help='folder of niki-data bank')
    output = parser.add_mutually_exclusive_group(required=True)
    output.add_argument('--out', type=Path, help='folder of the shards')
    output.add_argument('--sheet', type=Path, metavar='PNG',
                        help='only draw a contact sheet of the first crops: bones to visible '
                        'joints green, to hidden ones red')
    parser.add_argument('--count', type=positive_int, default=8192,
                        help='how many crops (8192)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--processes', type=positive_int, default=1)
    parser.add_argument('--device', default='cpu', help='such as cuda (cpu)')


def main(args) -> int:
    import cv2
    from niki_ros.files.atomic_write import atomic_write

    from niki_training.files.outputs import check_arguments
    from niki_training.render.batch.contact_sheet import contact_sheet
    from niki_training.render.batch.crop_shards import render_shards
    from niki_training.render.batch.renderer import BatchRenderer
    check_arguments(args, {'--sheet': args.sheet})
    if args.sheet is None:
        render_shards(args.bank, args.out, args.count, args.seed, args.processes, args.device)
        return 0
    renderer = BatchRenderer(args.bank, args.device, args.seed)
    with atomic_write(args.sheet, ('.png',)) as part:
        cv2.imwrite(str(part), contact_sheet(renderer)[..., ::-1])
    return 0
