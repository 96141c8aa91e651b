"""Recognises followed people by their appearance after they have been close to each other."""

from itertools import combinations
from typing import Sequence

from niki_ros.images.boxes import overlap
from niki_ros.observers.appearance import Appearance, RecognitionNumbers
from niki_ros.observers.followed_person import FollowedPerson
import numpy as np

_NUMBERS = RecognitionNumbers()


def recognise(people: Sequence[FollowedPerson], image_rgb: np.ndarray, stamp_ns: int) -> None:
    """
    Note what people look like in an image; those who are apart from others are remembered.

    People who were not looked at in this image keep what is known of them.
    """
    for one, other in combinations(people, 2):
        if overlap(one.box_px, other.box_px) > _NUMBERS.min_overlap:
            one.recognition.close_ns = other.recognition.close_ns = stamp_ns
    for one in people:
        if one.looked_ns != stamp_ns:
            continue
        own = one.recognition
        is_due = (own.remembered is None or own.is_close(stamp_ns)
                  or stamp_ns - own.remembered_ns >= _NUMBERS.sample_ns)
        own.now = (Appearance.of(one.estimate.observation, image_rgb)
                   if one.estimate is not None and is_due else None)
        if not own.is_close(stamp_ns):
            own.remember(stamp_ns)


def exchange_mistaken(people: Sequence[FollowedPerson], stamp_ns: int) -> None:
    """Exchange the identities of two people who look like each other since they were close."""
    people = [one for one in people if one.looked_ns == stamp_ns]
    is_like_another = set()
    for one, other in combinations(people, 2):
        own, theirs = one.recognition, other.recognition
        if (own.is_close(stamp_ns) and theirs.is_close(stamp_ns)
                and theirs.fits_better(own.now, own) and own.fits_better(theirs.now, theirs)):
            is_like_another |= {id(one), id(other)}
            if min(own.exchanged_images, theirs.exchanged_images) + 1 >= _NUMBERS.exchange_images:
                one.exchange_identity(other)
    for one in people:
        own = one.recognition
        own.exchanged_images = own.exchanged_images + 1 if id(one) in is_like_another else 0
