"""Published scores of the benchmarks, with their sources, in millimetres."""

from typing import NamedTuple

_NIKI = 'NIKI (Li et al., CVPR 2023, arXiv:2305.08590)'
_ZOO = "model zoo in HybrIK's README (github.com/Jeff-sjtu/HybrIK, 2023)"


class Published(NamedTuple):
    """One row of a paper."""

    method: str
    figures: dict[str, float]
    source: str


PUBLISHED: dict[str, list[Published]] = {
    '3dpw': [
        Published('NIKI, twist and swing',
                  {'mpjpe_mm': 71.3, 'pa_mpjpe_mm': 40.6, 'pve_mm': 86.6}, _NIKI),
        Published('HybrIK, HRNet-W48, trained with 3DPW',
                  {'mpjpe_mm': 71.3, 'pa_mpjpe_mm': 41.8}, _ZOO),
        Published('HybrIK, HRNet-W48, without 3DPW',
                  {'mpjpe_mm': 88.0, 'pa_mpjpe_mm': 48.6}, _ZOO),
        Published('HybrIK, ResNet-34, trained with 3DPW',
                  {'mpjpe_mm': 72.4, 'pa_mpjpe_mm': 44.5}, _ZOO)],
    '3dpw-occ': [],
    '3dpw-xocc': [
        Published("NIKI, temporal, on the paper's own occluders", {'mpjpe_mm': 88.9}, _NIKI)],
    'agora': [
        Published('NIKI, on the test set', {'mpjpe_mm': 67.3, 'pve_mm': 63.9, 'nmje_mm': 74.0,
                                            'nmve_mm': 70.2}, _NIKI)],
    '3doh': [],
    'h36m': [
        Published('HybrIK, HRNet-W48, trained with 3DPW',
                  {'mpjpe_mm': 47.1, 'pa_mpjpe_mm': 29.8}, _ZOO),
        Published('HybrIK, HRNet-W48, without 3DPW',
                  {'mpjpe_mm': 50.4, 'pa_mpjpe_mm': 29.5}, _ZOO),
        Published('HybrIK, ResNet-34, trained with 3DPW',
                  {'mpjpe_mm': 55.5, 'pa_mpjpe_mm': 33.8}, _ZOO)]}
"""Scores by benchmark; empty where no source was at hand."""
