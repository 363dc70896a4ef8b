# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who comes into the shop: people drawn from a seed or described in a scenario file."""

from __future__ import annotations

import colorsys
import dataclasses
from collections.abc import Mapping

import numpy as np

from pipeline.errors import ScenarioError
from sim.people.state import BodyShape, Garment, Outfit, PersonSpec

# Skin from light to dark, sRGB in 0..255; chosen by eye over the Monk scale's range.
SKIN_TONES = (
    (244, 215, 195), (236, 198, 170), (224, 180, 145), (205, 156, 118), (180, 128, 90), (150, 103, 70),
    (117, 78, 54), (88, 58, 42), (64, 43, 33),
)  # fmt: skip
HAIR_COLOURS = (
    (18, 15, 14), (30, 22, 18), (48, 33, 24), (74, 50, 34), (105, 74, 48), (150, 112, 70), (190, 155, 105),
    (120, 60, 35), (140, 138, 135), (205, 202, 198),
)  # fmt: skip
CLOTH_COLOURS = (
    (20, 20, 23), (38, 40, 46), (62, 64, 70), (110, 112, 116), (170, 170, 170), (232, 232, 230), (245, 244, 238),
    (24, 34, 66), (36, 62, 120), (88, 130, 180), (160, 195, 220), (120, 24, 30), (180, 40, 44), (205, 120, 130),
    (40, 72, 46), (90, 110, 70), (150, 165, 110), (200, 170, 60), (222, 200, 150), (140, 100, 60), (88, 60, 42),
    (196, 176, 150), (90, 50, 110), (210, 110, 40), (0, 120, 125),
)  # fmt: skip
LEG_COLOURS = (
    (18, 18, 21), (30, 34, 48), (44, 58, 92), (70, 92, 130), (118, 140, 170), (60, 60, 62), (104, 104, 106),
    (150, 148, 144), (150, 130, 100), (190, 172, 142), (86, 70, 52), (72, 80, 60), (222, 218, 210),
)  # fmt: skip
PATTERNS = ("plain", "hstripes", "vstripes", "checks", "dots", "logo", "blocks")


def random_person(
    rng: np.random.Generator, person_id: str, *, with_jacket: bool | None = None, as_child: bool = False
) -> PersonSpec:
    """Somebody new. The same generator state gives the same person.

    Args:
        with_jacket: force or forbid a jacket; None leaves it to chance. as_child: 6 to 10 years old for certain.
    """
    female = rng.random() < 0.5
    child = rng.random() < 0.04 or as_child
    if child:
        age = rng.uniform(6.5, 10.5) if as_child else rng.uniform(8, 14)
    else:
        age = float(np.clip(rng.normal(40, 16), 17, 82))
    if child:
        height = 1.28 + 0.065 * (age - 8) + rng.normal(0, 0.04)
    else:
        height = rng.normal(1.645, 0.065) if female else rng.normal(1.775, 0.07)
    ancestry = rng.dirichlet([0.5, 0.5, 0.5])
    shape = BodyShape(
        gender=float(np.clip(rng.normal(0.92 if female else 0.08, 0.06), 0, 1)),
        age_years=float(age),
        height_m=float(np.clip(height, 1.2, 2.0)),
        weight=float(np.clip(rng.normal(0.52, 0.17), 0.1, 0.98)),
        muscle=float(np.clip(rng.normal(0.45 if female else 0.58, 0.13), 0.1, 0.95)),
        proportions=float(rng.uniform(0.3, 0.8)),
        ancestry=tuple(float(a) for a in ancestry),
    )
    tone = np.clip(ancestry @ [6.4, 2.2, 1.2] + rng.normal(0, 0.8), 0, len(SKIN_TONES) - 1)
    skin = np.array([np.interp(tone, range(len(SKIN_TONES)), channel) for channel in np.array(SKIN_TONES).T]) / 255
    hair = _random_hair(rng, female, age, tone)
    if as_child and hair.kind == "bald":
        hair = dataclasses.replace(hair, kind="short")
    outfit = Outfit(
        skin=tuple(float(c) for c in skin),
        hair=hair,
        top=_random_top(rng),
        bottom=_random_bottom(rng, female),
        shoes=Garment(
            "boots" if rng.random() < 0.15 else "shoes",
            _colour(rng, ((22, 22, 24), (60, 60, 64), (236, 236, 234), (120, 80, 50), (40, 50, 90), (170, 40, 40))),
        ),
        jacket=_random_jacket(rng) if (rng.random() < 0.25 if with_jacket is None else with_jacket) else None,
        bag=_random_bag(rng, female),
        bag_side="left" if rng.random() < 0.5 else "right",
        glasses=bool(rng.random() < 0.25),
        beard=bool(not female and not child and rng.random() < 0.3),
    )
    return PersonSpec(person_id, shape, outfit, int(rng.integers(0, 2**31)))


def person_from_dict(person_id: str, data: Mapping, base: PersonSpec) -> PersonSpec:
    """A person of a scenario file: ``base`` with what ``data`` names in its place.

    ``data`` may hold ``shape`` and ``outfit`` (fields of ``BodyShape`` and ``Outfit``; garments are mappings with
    the fields of ``Garment``, or null) and ``style_seed``. Twins are one base under two ids with one outfit.

    Raises:
        ScenarioError: an unknown field, or a value of the wrong kind.
    """
    unknown = set(data) - {"shape", "outfit", "style_seed"}
    if unknown:
        raise ScenarioError(f"person {person_id}: unknown {sorted(unknown)}, expected shape, outfit, style_seed")
    shape = _replaced(base.shape, data.get("shape") or {}, f"person {person_id}: shape")
    changes = dict(data.get("outfit") or {})
    for name in ("hair", "top", "bottom", "shoes", "jacket", "bag"):
        if isinstance(changes.get(name), Mapping):
            before = getattr(base.outfit, name) or Garment("jacket" if name == "jacket" else "shoulder")
            changes[name] = _replaced(before, changes[name], f"person {person_id}: outfit.{name}")
    outfit = _replaced(base.outfit, changes, f"person {person_id}: outfit")
    return PersonSpec(person_id, shape, outfit, int(data.get("style_seed", base.style_seed)))


def _replaced(value, changes: Mapping, place: str):
    names = {f.name for f in dataclasses.fields(value)}
    unknown = set(changes) - names
    if unknown:
        raise ScenarioError(f"{place}: unknown field {sorted(unknown)}, expected some of {sorted(names)}")
    return dataclasses.replace(value, **{k: tuple(v) if isinstance(v, list) else v for k, v in changes.items()})


def _colour(rng: np.random.Generator, choices) -> tuple[float, float, float]:
    """One of the colours, a little off, so that no two people are quite alike."""
    h, s, v = colorsys.rgb_to_hsv(*(np.array(choices[rng.integers(len(choices))]) / 255))
    h, s, v = (h + rng.normal(0, 0.015)) % 1, s * rng.uniform(0.8, 1.15), v * rng.uniform(0.85, 1.1) + 0.01
    return tuple(float(c) for c in colorsys.hsv_to_rgb(h, min(s, 1), min(v, 1)))


def _random_top(rng: np.random.Generator) -> Garment:
    kind = rng.choice(["tshirt", "shirt", "sweater", "tank"], p=[0.45, 0.25, 0.24, 0.06])
    length = {"tshirt": rng.uniform(0.24, 0.42), "tank": 0.0}.get(kind, 0.97)
    if kind == "shirt" and rng.random() < 0.3:
        length = rng.uniform(0.3, 0.6)
    pattern = rng.choice(PATTERNS, p=[0.56, 0.12, 0.05, 0.09, 0.04, 0.1, 0.04])
    return Garment(
        str(kind), _colour(rng, CLOTH_COLOURS), str(pattern), _colour(rng, CLOTH_COLOURS), float(length),
        float(rng.uniform(0.06, 0.14)),
    )  # fmt: skip


def _random_bottom(rng: np.random.Generator, female: bool) -> Garment:
    kinds = ["trousers", "jeans", "shorts", "skirt", "leggings"]
    kind = str(rng.choice(kinds, p=[0.3, 0.3, 0.12, 0.18, 0.1] if female else [0.42, 0.38, 0.18, 0.0, 0.02]))
    length = {"shorts": rng.uniform(0.3, 0.5), "skirt": rng.uniform(0.3, 0.85)}.get(kind, 1.0)
    colours = CLOTH_COLOURS if kind == "skirt" else LEG_COLOURS
    pattern = "plain" if rng.random() < (0.6 if kind == "skirt" else 0.96) else str(rng.choice(PATTERNS[1:5]))
    return Garment(kind, _colour(rng, colours), pattern, _colour(rng, colours), float(length), 0.1)


def _random_jacket(rng: np.random.Generator) -> Garment:
    kind = str(rng.choice(["jacket", "coat", "vest"], p=[0.6, 0.25, 0.15]))
    return Garment(kind, _colour(rng, CLOTH_COLOURS), length=0.0 if kind == "vest" else 1.0)


def _random_hair(rng: np.random.Generator, female: bool, age: float, tone: float) -> Garment:
    kinds = ["short", "long", "bun", "bald", "cap", "hood"]
    p = [0.2, 0.5, 0.2, 0.0, 0.06, 0.04] if female else [0.7, 0.06, 0.02, 0.1, 0.1, 0.02]
    kind = str(rng.choice(kinds, p=p))
    if kind in ("cap", "hood"):
        return Garment(kind, _colour(rng, CLOTH_COLOURS))
    if rng.random() < np.clip((age - 45) / 30, 0, 0.8):
        colours = HAIR_COLOURS[8:]
    else:
        colours = HAIR_COLOURS[: 3 if tone > 3.5 else 8]
    return Garment(kind, _colour(rng, colours))


def _random_bag(rng: np.random.Generator, female: bool) -> Garment | None:
    if rng.random() > (0.4 if female else 0.22):
        return None
    kind = str(rng.choice(["shoulder", "hand", "backpack"], p=[0.5, 0.2, 0.3] if female else [0.25, 0.15, 0.6]))
    return Garment(kind, _colour(rng, CLOTH_COLOURS))
