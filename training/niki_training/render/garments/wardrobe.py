"""All garments and skins of some folders, and the choice of what a person wears. All seeded."""

from dataclasses import dataclass
from pathlib import Path
import sys

from niki_ros.common.errors import InputError
from tqdm import tqdm

from niki_training.render.anny_body import AnnyModel
from niki_training.render.garments.base_mesh import BaseMesh
from niki_training.render.garments.binding import bind, BoundGarment, SLOTS
from niki_training.render.garments.garment import read_garments
from niki_training.render.garments.tailored import tailored_garments

_WOMAN_FROM, _OLD_FROM, _YOUNG_BELOW = 0.5, 0.85, 0.72  # of Anny's gender and age


@dataclass(frozen=True)
class OutfitNumbers:
    """How often a person wears what."""

    suit_or_dress: float = 0.6  # a garment for the whole body, where there are others
    swimwear: float = 0.015
    coat: float = 0.1  # over trousers or a skirt and something above
    shoes: float = 0.93
    hat: float = 0.12
    bald: float = 0.08  # without a hat
    bald_under_hat: float = 0.5
    hair_of_the_other_sex: float = 0.08
    glasses: float = 0.12
    sleeves: float = 0.02
    painted_suit: float = 0.02  # a skin with a suit painted on it


class Wardrobe:
    """
    Garments bound to the base mesh, and skins.

    :ivar garments: list of BoundGarment that are worn. :ivar skins: pictures in folders ``skins``.
    """

    def __init__(self, folders, base: BaseMesh, numbers: OutfitNumbers = OutfitNumbers()):
        """Read and bind all garments; an InputError for a folder without any."""
        self.base, self.numbers = base, numbers
        folders = [Path(folder) for folder in folders]
        pieces = [piece for folder in folders for piece in read_garments(folder)]
        self.skins = [path for folder in folders for path in sorted(folder.glob('skins/*.png'))]
        if not self.skins:
            raise InputError(f'none of {[str(f) for f in folders]} has skins (skins/*.png); give '
                             'the folder that has them with --clothes, too')
        pieces += tailored_garments(base)
        bound = [bind(piece, base) for piece in tqdm(
            pieces, unit='piece', desc='clothes', file=sys.stderr, disable=None)]
        self.garments = [garment for garment in bound if garment.slot != 'underwear']
        self._by_slot = {slot: [g for g in self.garments if g.slot == slot] for slot in SLOTS}

    @classmethod
    def of_model(cls, folders, model: AnnyModel) -> 'Wardrobe':
        """Return the wardrobe for the bodies of a model."""
        return cls(folders, BaseMesh.of_model(model))

    def draw_outfit(self, phenotype: dict, rng) -> list[BoundGarment]:
        """Return what a person with Anny's parameters wears, inner garments first."""
        sex = 'female' if phenotype['gender'] >= _WOMAN_FROM else 'male'
        worn = self._clothes(sex, rng)
        if rng.random() < self.numbers.shoes:
            worn += self._one('shoes', sex, rng)
        for slot, odds in (('sleeves', self.numbers.sleeves), ('glasses', self.numbers.glasses)):
            if rng.random() < odds:
                worn += self._one(slot, sex, rng)
        return worn + self._on_head(sex, rng)

    def _clothes(self, sex: str, rng) -> list[BoundGarment]:
        numbers = self.numbers
        if rng.random() < numbers.swimwear and self._of('swimwear', sex):
            return self._one('swimwear', sex, rng)
        has_parts = self._of('upper', sex) and self._of('lower', sex)
        if self._of('full', sex) and (rng.random() < numbers.suit_or_dress or not has_parts):
            return self._one('full', sex, rng)
        worn = self._one('lower', sex, rng) + self._one('upper', sex, rng)
        if rng.random() < numbers.coat:
            worn += self._one('outer', sex, rng)
        return worn

    def _on_head(self, sex: str, rng) -> list[BoundGarment]:
        hat = self._one('hat', sex, rng) if rng.random() < self.numbers.hat else []
        bald = self.numbers.bald_under_hat if hat else self.numbers.bald
        if rng.random() < bald:
            return hat
        other = rng.random() < self.numbers.hair_of_the_other_sex
        return self._one('hair', {'female': 'male', 'male': 'female'}[sex] if other else sex,
                         rng) + hat

    def _of(self, slot: str, sex: str) -> list[BoundGarment]:
        return [g for g in self._by_slot[slot] if g.sex in (sex, 'any')]

    def _one(self, slot: str, sex: str, rng) -> list[BoundGarment]:
        fitting = self._of(slot, sex)
        return [fitting[rng.integers(len(fitting))]] if fitting else []

    def draw_skin(self, phenotype: dict, rng) -> Path:
        """Return the picture of a skin for a person with Anny's parameters."""
        sex = 'female' if phenotype['gender'] >= _WOMAN_FROM else 'male'
        age = 'old' if phenotype['age'] > _OLD_FROM else (
            'young' if phenotype['age'] < _YOUNG_BELOW else 'middleage')
        painted = rng.random() < self.numbers.painted_suit
        for wanted in ((age, sex), (sex,), ()):
            # 'male' is a part of 'female': words between underscores are compared
            fitting = [path for path in self.skins if set(wanted) <= set(path.stem.split('_'))
                       and ('suit' in path.stem.split('_')) == painted]
            if fitting:
                return fitting[rng.integers(len(fitting))]
        return self.skins[rng.integers(len(self.skins))]
