# SPDX-License-Identifier: AGPL-3.0-or-later
"""What people do, to rotations and places of their bones, for a whole batch of people and instants at once.

Order: feet, pelvis over them, spine (lean and turn towards what the hands want), shoulders, arms to their palms,
neck and head to what is looked at, fingers. Computed in the person's own frame (x forward, y left, z up, origin on
the floor under ``floor_xy_m``) and moved into the world at the end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.people import arms, gait
from sim.people.assets import SIDES
from sim.people.extras import HANGING
from sim.people.gait import smooth_step, stride_length_m
from sim.people.rotations import about, frame, from_rotvec, turn, unit

__all__ = ["Figures", "States", "bone_motion", "stride_length_m"]

SPINE = ("spine05", "spine04", "spine03", "spine02", "spine01")
FINGERS = tuple(f"finger{i}" for i in range(1, 6))
_SIGNS = arms.SIGNS
_LEAN_LIMIT_RAD = np.radians([24.0, 52.0, 42.0])  # sideways, forward, turning
_LEAN_BACK_RAD = np.radians(8.0)


@dataclass(frozen=True)
class Figures:
    """Rest measures of a batch of people, gathered per state: leading shape (B,).

    Attributes:
        heads_m: (B, J, 3), with the two hanging bones.
        palm_m, heel_m, ball_m: (B, 2, 3). palm_frames: (B, 2, 3, 3).
        height_m, abduction_rad, half_width_m, stoop_rad, swing_rad, stagger, belly_m: (B,).
    """

    heads_m: np.ndarray
    palm_m: np.ndarray
    palm_frames: np.ndarray
    heel_m: np.ndarray
    ball_m: np.ndarray
    height_m: np.ndarray
    abduction_rad: np.ndarray
    half_width_m: np.ndarray
    stoop_rad: np.ndarray
    swing_rad: np.ndarray
    stagger: np.ndarray
    belly_m: np.ndarray

    def take(self, index: np.ndarray) -> Figures:
        return Figures(**{name: value[index] for name, value in self.__dict__.items()})


@dataclass(frozen=True)
class States:
    """``PersonState``s side by side, in the person's own frame; leading shape (B,)."""

    speed_m_s: np.ndarray
    phase: np.ndarray
    crouch: np.ndarray
    look_at_m: np.ndarray  # (B, 3), NaN where nothing is looked at
    target_m: np.ndarray  # (B, 2, 3), NaN where there is none
    weight: np.ndarray  # (B, 2)
    grip: np.ndarray
    carry: np.ndarray


class Rig:
    """Names to indices of the bones, looked up once."""

    def __init__(self, bones: tuple[str, ...], parents: np.ndarray) -> None:
        bones = (*bones, *HANGING)
        self.bones = bones
        self.parents = np.concatenate([parents, [bones.index(f"wrist.{side}") for side in SIDES]])
        self.root = bones.index("root")
        self.spine = [bones.index(b) for b in SPINE]
        self.neck = [bones.index(b) for b in ("neck01", "neck02", "head")]

        def pair(name: str) -> np.ndarray:
            return np.array([bones.index(f"{name}.{side}") for side in SIDES])

        self.clavicle, self.upper1, self.upper2 = pair("clavicle"), pair("upperarm01"), pair("upperarm02")
        self.lower1, self.lower2, self.wrist = pair("lowerarm01"), pair("lowerarm02"), pair("wrist")
        self.thigh, self.shin, self.foot, self.toes = (
            pair("upperleg01"), pair("lowerleg01"), pair("foot"), pair("toes"),
        )  # fmt: skip
        self.hanging = np.array([bones.index(b) for b in HANGING])
        self.fingers = np.array([[pair(f"{f}-{k}") for k in (1, 2, 3)] for f in FINGERS])  # (5, 3, 2)


def bone_motion(rig: Rig, who: Figures, do: States) -> tuple[np.ndarray, np.ndarray]:
    """Rotations from rest (B, J, 3, 3) and places (B, J, 3) of all bones in the person's frame."""
    heads = who.heads_m
    batch, bones = heads.shape[:2]
    turned = np.broadcast_to(np.eye(3), (batch, bones, 3, 3)).copy()
    place = np.zeros((batch, bones, 3))

    stride = gait.feet(
        do.phase, do.speed_m_s, do.crouch, who.height_m, heads[:, rig.foot], who.heel_m, who.ball_m,
        who.half_width_m, who.stagger,
    )  # fmt: skip
    lean = _base_lean(who, do)
    for _ in range(4):
        _pelvis_and_spine(rig, who, do, stride, lean, turned, place)
        lean = _lean_towards(rig, who, do, turned, place, lean)
    _pelvis_and_spine(rig, who, do, stride, lean, turned, place)
    _legs(rig, who, do, stride, turned, place)
    _arms(rig, who, do, stride, turned, place)
    _head(rig, who, do, lean, turned, place)
    _fingers(rig, who, do, turned, place)
    place[:, rig.hanging] = palms(rig, who, turned, place)[..., :3, 3]  # upright: their rotation stays as at rest
    return turned, place


def _base_lean(who: Figures, do: States) -> np.ndarray:
    """Sideways, forward and turning lean (B, 3) in radians before any reach."""
    lean = np.zeros((len(do.phase), 3))
    lean[:, 1] = who.stoop_rad + np.radians(3) * smooth_step(do.speed_m_s / 1.0) + np.radians(18) * do.crouch
    return lean


def _pelvis_and_spine(rig, who, do, stride, lean, turned, place) -> None:
    heads = who.heads_m
    cycle = 2 * np.pi * do.phase
    amplitude, idle = stride.amplitude, 1 - stride.amplitude
    hip_yaw = -np.radians(6) * amplitude * np.cos(cycle)
    hip_roll = np.radians(3) * amplitude * np.sin(cycle) + np.radians(1.5) * idle * np.sin(cycle)
    share = 0.34 + 0.12 * do.crouch
    hips = about("z", hip_yaw + 0.25 * lean[:, 2]) @ from_rotvec(
        np.stack([hip_roll + 0.2 * lean[:, 0], share * lean[:, 1], np.zeros_like(hip_roll)], -1)
    )
    turned[:, rig.root] = hips
    joints = turn(hips[:, None], heads[:, rig.thigh] - heads[:, [rig.root]])
    # Leaning forward moves the pelvis back so that the weight stays over the feet.
    x = -0.11 * np.sin(np.maximum(lean[:, 1], 0)) * (1 - do.crouch)
    y = (0.018 * amplitude + 0.012 * idle) * np.sin(cycle)
    relative = joints + np.stack([x, y, np.zeros_like(x)], -1)[:, None]
    leg = np.linalg.norm(np.diff(heads[:, [rig.thigh[0], rig.shin[0], rig.foot[0]]], axis=1), axis=-1).sum(1)
    z = gait.pelvis_height_m(relative, stride, leg, do.crouch)
    place[:, rig.root] = np.stack([x, y, z], -1)

    bend = np.stack([0.8 * lean[:, 0] - hip_roll, (1 - share) * lean[:, 1], 0.75 * lean[:, 2] - 1.7 * hip_yaw], -1)
    rotation = hips
    for i, bone in enumerate(rig.spine):
        rotation = rotation @ from_rotvec(bend * (0.16, 0.22, 0.24, 0.22, 0.16)[i])
        turned[:, bone] = rotation
        _attach(rig, heads, bone, turned, place)


def _attach(rig, heads, bone, turned, place) -> None:
    """Put a bone where its parent carries it."""
    parent = rig.parents[bone]
    place[:, bone] = place[:, parent] + turn(turned[:, parent], heads[:, bone] - heads[:, parent])


def _wanted_palms(do: States) -> tuple[np.ndarray, np.ndarray]:
    """Targets with the missing ones at 0 and the weights (B, 2) with those at 0."""
    weight = np.where(np.isnan(do.target_m).any(-1), 0.0, do.weight)
    return np.nan_to_num(do.target_m), weight


def _arm_lengths(rig, who) -> tuple[np.ndarray, np.ndarray]:
    heads = who.heads_m
    upper = np.linalg.norm(heads[:, rig.lower1[0]] - heads[:, rig.upper1[0]], axis=-1)
    lower = np.linalg.norm(who.palm_m[:, 0] - heads[:, rig.lower1[0]], axis=-1)
    return upper, lower


def _lean_towards(rig, who, do, turned, place, lean) -> np.ndarray:
    """More lean where a target is further than a comfortable arm; within limits (B, 3)."""
    heads = who.heads_m
    target, weight = _wanted_palms(do)
    chest = rig.spine[-1]
    shoulders = place[:, [chest]] + turn(turned[:, [chest]], heads[:, rig.upper1] - heads[:, [chest]])
    arm = sum(_arm_lengths(rig, who))[:, None]
    d = target - shoulders
    span = np.linalg.norm(d, axis=-1)
    missing = np.maximum(span - 0.90 * arm, 0.0) * weight
    push = unit(d) * missing[..., None]
    lever = shoulders - place[:, [rig.root]]
    spin = np.cross(lever, push) / np.maximum((lever**2).sum(-1, keepdims=True), 1e-6)
    spin[..., 2] += 0.9 * missing * np.sign(lever[..., 1]) * -1.0 * np.where(d[..., 0] > 0, 1.0, 0.3)
    step = spin.sum(1)
    step *= np.array([0.9, 0.9, 0.8])
    new = lean + step
    base = _base_lean(who, do)
    low = np.minimum(base, -np.array([_LEAN_LIMIT_RAD[0], _LEAN_BACK_RAD, _LEAN_LIMIT_RAD[2]]))
    high = np.maximum(base, _LEAN_LIMIT_RAD + np.array([0.0, np.radians(16), 0.0]) * do.crouch[:, None])
    return np.clip(new, low, high)


def _legs(rig, who, do, stride, turned, place) -> None:
    heads = who.heads_m
    thigh, shin = (
        np.linalg.norm(heads[:, b[0]] - heads[:, a[0]], axis=-1)
        for a, b in ((rig.thigh, rig.shin), (rig.shin, rig.foot))
    )
    for bone in rig.thigh:
        _attach(rig, heads, bone, turned, place)
    hips = place[:, rig.thigh]
    knee, hinge = gait.legs(hips, stride.ankle_m, stride.foot_yaw_rad, thigh, shin, do.crouch)
    rest = heads[:, rig.shin] - heads[:, rig.thigh], heads[:, rig.foot] - heads[:, rig.shin]
    side = np.broadcast_to(np.array([0.0, 1.0, 0.0]), hinge.shape)
    for bone, along, before in ((rig.thigh, knee - hips, rest[0]), (rig.shin, stride.ankle_m - knee, rest[1])):
        turned[:, bone] = frame(along, hinge) @ np.swapaxes(frame(before, side), -1, -2)
    place[:, rig.shin] = knee
    ankle = knee + turn(turned[:, rig.shin], rest[1])
    place[:, rig.foot] = ankle
    ahead = heads[:, rig.toes] - heads[:, rig.foot]
    rest_yaw = np.arctan2(ahead[..., 1], ahead[..., 0])
    turned[:, rig.foot] = gait.foot_rotation(stride.foot_yaw_rad, stride.foot_pitch_rad, rest_yaw)
    place[:, rig.toes] = ankle + turn(turned[:, rig.foot], ahead)
    toe_pitch = stride.foot_pitch_rad + stride.toe_pitch_rad
    turned[:, rig.toes] = gait.foot_rotation(stride.foot_yaw_rad, toe_pitch, rest_yaw)


def _arms(rig, who, do, stride, turned, place) -> None:
    heads = who.heads_m
    chest = rig.spine[-1]
    target, weight = _wanted_palms(do)
    upper, lower = _arm_lengths(rig, who)
    # The frame the arms hang in: turned with the chest, half as much leaning as it.
    chest_r = turned[:, chest]
    yaw = np.arctan2(chest_r[:, 1, 0], chest_r[:, 0, 0])
    upright = about("z", yaw)
    for bone in rig.clavicle:
        _attach(rig, heads, bone, turned, place)
    shrug = _shoulder_girdle(rig, who, chest_r, place, target, weight)
    turned[:, rig.clavicle] = chest_r[:, None] @ shrug
    shoulder = place[:, rig.clavicle] + turn(turned[:, rig.clavicle], heads[:, rig.upper1] - heads[:, rig.clavicle])
    place[:, rig.upper1] = shoulder

    local = turn(np.swapaxes(upright, -1, -2)[:, None], shoulder)
    palm, elbow = gait_pose = arms.gait_arms(
        local, upper, lower, do.phase, stride.amplitude, who.swing_rad, who.abduction_rad
    )
    palm, elbow = (turn(upright[:, None], p) for p in gait_pose)
    pole = unit(elbow - shoulder - 0.5 * (palm - shoulder))
    out = turn(upright[:, None], np.stack([-0.25 + 0 * _SIGNS, -_SIGNS, 0 * _SIGNS], -1)[None])
    out = np.broadcast_to(out, palm.shape)

    held, held_pole, held_out = _held_against_body(rig, who, upright, place, palm)
    c = smooth_step(do.carry)[..., None]
    palm, pole, out = (a + (b - a) * c for a, b in ((palm, held), (pole, held_pole), (out, held_out)))

    w = weight[..., None]
    reach_pole = turn(upright[:, None], np.stack([-0.35 + 0 * _SIGNS, 0.50 * _SIGNS, -0.80 + 0 * _SIGNS], -1)[None])
    grasp = turn(upright[:, None], np.stack([0 * _SIGNS, -_SIGNS, -0.25 + 0 * _SIGNS], -1)[None])
    # On the way to a target the palm passes in front of the body, not through it.
    arc = 4 * w * (1 - w) * 0.06 * upright[:, None, :, 0]
    palm = palm + (target - palm) * w + arc
    pole = pole + (reach_pole - pole) * w

    elbow, palm, hinge = arms.solve(shoulder, palm, pole, upper, lower)
    rest = np.stack([heads[:, rig.upper1], heads[:, rig.lower1], who.palm_m], 2)
    r_upper, r_lower = arms.arm_rotations(rest, shoulder, elbow, palm, hinge)
    turned[:, rig.upper1] = turned[:, rig.upper2] = r_upper
    place[:, rig.upper2] = shoulder + turn(r_upper, heads[:, rig.upper2] - heads[:, rig.upper1])
    place[:, rig.lower1] = elbow
    turned[:, rig.lower1] = r_lower
    axis = unit(palm - elbow)
    # A grasping palm faces across the forearm; a fixed direction would flip it where the forearm points that way.
    across = _SIGNS[:, None] * np.cross(axis, [0.0, 0.0, 1.0])
    out = out + (across + 0.3 * grasp - out) * w
    twist = arms.palm_twist(r_lower, who.palm_frames[..., 2], axis, out)
    half, whole = (from_rotvec(axis * (twist * share)[..., None]) @ r_lower for share in (0.55, 1.0))
    # Bones of the forearm are off the axis a little; they turn about the axis, not about themselves.
    for bone, rotation in ((rig.lower2, half), (rig.wrist, whole)):
        turned[:, bone] = rotation
        place[:, bone] = elbow + turn(rotation, heads[:, bone] - heads[:, rig.lower1])


def _shoulder_girdle(rig, who, chest_r, place, target, weight) -> np.ndarray:
    """Rotations (B, 2, 3, 3) of the collar bones: up for high targets, forward for far ones."""
    d = target - place[:, rig.clavicle]
    local = turn(np.swapaxes(chest_r, -1, -2)[:, None], unit(d))
    up = np.radians(28) * np.clip(local[..., 2] + 0.1, 0, 1) * weight
    far = np.clip(np.linalg.norm(d, axis=-1) / who.height_m[:, None] / 0.42, 0, 1) ** 2
    forward = np.radians(14) * np.clip(local[..., 0], 0, 1) * far * weight
    return about("z", -_SIGNS * forward) @ about("x", _SIGNS * up)


def _held_against_body(rig, who, upright, place, palm) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Palms, poles and palm directions (B, 2, 3) of forearms raised with something held to the body."""
    waist = place[:, [rig.spine[2]]]
    height = who.height_m[:, None]
    offset = np.stack(
        [0.10 * height + who.belly_m[:, None] + 0 * _SIGNS, 0.055 * height * _SIGNS, 0.015 * height + 0 * _SIGNS], -1
    )
    held = waist + turn(upright[:, None], offset)
    pole = turn(upright[:, None], np.stack([-0.6 + 0 * _SIGNS, 0.5 * _SIGNS, -0.7 + 0 * _SIGNS], -1)[None])
    out = turn(upright[:, None], np.stack([-0.55 + 0 * _SIGNS, -0.75 * _SIGNS, 0.35 + 0 * _SIGNS], -1)[None])
    return held, np.broadcast_to(pole, palm.shape), np.broadcast_to(out, palm.shape)


def _head(rig, who, do, lean, turned, place) -> None:
    heads = who.heads_m
    chest_r = turned[:, rig.spine[-1]]
    _attach(rig, heads, rig.neck[0], turned, place)
    eyes = place[:, rig.neck[0]] + 0.1 * who.height_m[:, None] * chest_r[:, :, 2]
    seen = ~np.isnan(do.look_at_m).any(-1)
    aim = np.where(seen[:, None], np.nan_to_num(do.look_at_m) - eyes, [1.0, 0.0, -0.12])
    local = turn(np.swapaxes(chest_r, -1, -2), unit(aim))
    yaw = np.clip(np.arctan2(local[:, 1], np.maximum(local[:, 0], -0.2)), *np.radians([-72, 72]))
    pitch = np.arctan2(-local[:, 2], np.maximum(np.linalg.norm(local[:, :2], axis=-1), 0.1))
    pitch = np.clip(pitch, *np.radians([-48, 46]))
    for bone, share in zip(rig.neck, (0.3, 0.6, 1.0), strict=True):
        turned[:, bone] = chest_r @ about("z", share * yaw) @ about("y", share * pitch)
        _attach(rig, heads, bone, turned, place)


def _fingers(rig, who, do, turned, place) -> None:
    heads = who.heads_m
    hand = turned[:, rig.wrist]
    out = who.palm_frames[..., 2]
    along = who.palm_frames[..., 0]
    curls = arms.finger_curl(do.grip)
    for finger in range(5):
        bones = rig.fingers[finger]
        if finger == 0:
            # The thumb closes across the palm: about the fingers' direction, a little about its own.
            axis = unit(along * -_SIGNS[:, None] - 0.25 * out)
            bend = arms.thumb_curl(do.grip)
            close = np.eye(3)
            axis = axis * np.sign((np.cross(axis, heads[:, bones[2]] - heads[:, bones[0]]) * out).sum(-1))[..., None]
        else:
            pointing = unit(heads[:, bones[2]] - heads[:, bones[0]])
            # At rest the fingers are spread; hands at work keep them together.
            together = unit(pointing * [0.35] + along * [0.65] + (pointing * out).sum(-1, keepdims=True) * out * 0.65)
            close = from_rotvec(np.cross(pointing, together))
            axis = unit(np.cross(together, out))
            bend = curls
        angle = np.zeros(bend.shape[:-1])
        for k in range(3):
            angle = angle + bend[..., k]
            bone = bones[k]
            parent = rig.wrist if k == 0 else bones[k - 1]
            turned[:, bone] = hand @ from_rotvec(axis * angle[..., None]) @ close
            offset = heads[:, bone] - heads[:, parent]
            place[:, bone] = place[:, parent] + turn(turned[:, parent], offset)


def palms(rig: Rig, who: Figures, turned: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Palm frames (B, 2, 4, 4)."""
    out = np.zeros((len(turned), 2, 4, 4))
    hand = turned[:, rig.wrist]
    out[..., :3, :3] = hand @ who.palm_frames
    out[..., :3, 3] = place[:, rig.wrist] + turn(hand, who.palm_m - who.heads_m[:, rig.wrist])
    out[..., 3, 3] = 1.0
    return out
