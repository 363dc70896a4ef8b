# SPDX-License-Identifier: AGPL-3.0-or-later
"""Legs and feet: where the feet are over a stride, how the pelvis moves with them, and the legs between.

A foot is planted for 62 % of the cycle and moves back under the body exactly as fast as the body moves on
(Perry and Burnfield, Gait Analysis, 2nd ed., 2010, for the phases and the foot's pitch). Everything here is in the
person's frame: x forward, y left, z up, origin on the floor under ``floor_xy_m``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.people.rotations import about, frame, unit

_PLANTED = 0.62
_PITCH_PHASE = (0.0, 0.10, 0.36, 0.50, 0.62, 0.74, 0.90, 1.0)
_PITCH_DEG = (16.0, 0.0, 0.0, -16.0, -48.0, -32.0, 10.0, 16.0)  # positive lifts the toes


def stride_length_m(height_m: float | np.ndarray, speed_m_s: float | np.ndarray) -> np.ndarray:
    """Length of one cycle (two steps) at a speed; about 1.35 m at 1.3 m/s for 1.72 m of height."""
    speed = np.maximum(np.asarray(speed_m_s, dtype=float), 0.0)
    return np.maximum(0.785 * np.asarray(height_m) * (speed / 1.3) ** 0.45, 0.25)


@dataclass(frozen=True)
class Stride:
    """Shapes (B,) and, with the feet left and right, (B, 2, ...)."""

    ankle_m: np.ndarray
    foot_pitch_rad: np.ndarray
    toe_pitch_rad: np.ndarray
    foot_yaw_rad: np.ndarray
    loaded: np.ndarray
    amplitude: np.ndarray


def feet(
    phase: np.ndarray,
    speed_m_s: np.ndarray,
    crouch: np.ndarray,
    height_m: np.ndarray,
    ankle_rest_m: np.ndarray,
    heel_rest_m: np.ndarray,
    ball_rest_m: np.ndarray,
    half_width_m: np.ndarray,
    stagger: np.ndarray,
) -> Stride:
    """Ankles over the cycle so that the lower of heel and ball is on the floor while planted.

    Args:
        phase, speed_m_s, crouch, height_m, half_width_m, stagger: shape (B,). ``stagger`` in -1..1 puts one foot
            before the other when standing.
        ankle_rest_m, heel_rest_m, ball_rest_m: shape (B, 2, 3), rest positions.
    """
    amplitude = smooth_step(speed_m_s / 0.35)
    length = stride_length_m(height_m, speed_m_s) * amplitude
    cycle = (phase[:, None] + np.array([0.0, 0.5])) % 1.0
    planted = cycle < _PLANTED
    swing = np.clip((cycle - _PLANTED) / (1 - _PLANTED), 0, 1)
    step = length[:, None] * _PLANTED
    eased = swing - np.sin(2 * np.pi * swing) / (2 * np.pi) * 0.75
    x = np.where(planted, step * (0.5 - cycle / _PLANTED), step * (eased - 0.5))
    pitch = np.radians(np.interp(cycle, _PITCH_PHASE, _PITCH_DEG)) * amplitude[:, None]
    toe = np.where(pitch < 0, -0.8 * pitch, 0.0)

    down = crouch[:, None]
    pitch = pitch - np.radians(30) * smooth_step((down - 0.45) / 0.55)
    toe = np.maximum(toe, -pitch * (pitch < 0))
    signs = np.array([1.0, -1.0])
    idle = 1 - amplitude[:, None]
    yaw = signs * (np.radians(6) + np.radians(5) * idle + np.radians(10) * down)
    y = signs * (half_width_m[:, None] * (0.62 + 0.38 * idle) + 0.02 * down)
    x = x + 0.10 * down + signs * stagger[:, None] * 0.09 * idle

    turned = about("y", -pitch)
    points = np.stack([heel_rest_m, ball_rest_m], 2) - ankle_rest_m[:, :, None]  # (B, 2, point, 3)
    moved = np.einsum("bsij,bspj->bspi", turned, points)
    lift = np.where(planted, 0.0, np.sin(np.pi * swing)) * 0.05 * amplitude[:, None]
    z = -moved[..., 2].min(-1) + lift
    # The foot rolls about the point that is on the floor, so that point keeps its place.
    low = moved[..., 2].argmin(-1)[..., None, None]
    rolled = np.take_along_axis(points - moved, low, 2)[:, :, 0, 0]
    flat = np.abs(pitch) < 1e-9
    x = x + np.where(flat, 0.0, rolled)
    ankle = np.stack([x, y, z], -1)
    return Stride(ankle, pitch, toe, yaw, np.where(planted, 1.0, 1 - np.sin(np.pi * swing)), amplitude)


def pelvis_height_m(hips_m: np.ndarray, stride: Stride, leg_m: np.ndarray, crouch: np.ndarray) -> np.ndarray:
    """How high the pelvis can be, shape (B,), above its rest height's zero.

    Args:
        hips_m: shape (B, 2, 3), hip joints relative to the pelvis point, already turned with the pelvis.
        leg_m: shape (B,), thigh plus shin.
    """
    reach = 0.992 * leg_m[:, None]
    across = stride.ankle_m[..., :2] - hips_m[..., :2]
    tall = np.sqrt(np.maximum(reach**2 - (across**2).sum(-1), (0.3 * reach) ** 2))
    top = stride.ankle_m[..., 2] + tall - hips_m[..., 2] + 0.12 * (1 - stride.loaded)
    soft = 0.012
    highest = -soft * np.log(np.exp(-(top - top.min(1, keepdims=True)) / soft).sum(1)) + top.min(1)
    squat = stride.ankle_m[..., 2].mean(1) + 0.40 * leg_m - hips_m[..., 2].mean(1)
    return highest + (np.minimum(squat, highest) - highest) * smooth_step(crouch) ** 0.9


def legs(
    hips_m: np.ndarray,
    ankle_m: np.ndarray,
    yaw_rad: np.ndarray,
    thigh_m: np.ndarray,
    shin_m: np.ndarray,
    spread: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Knees (B, 2, 3) and the axes the knees bend about (B, 2, 3), law of cosines.

    Args:
        hips_m, ankle_m: shape (B, 2, 3). yaw_rad: shape (B, 2), where the toes point. spread: shape (B,), 0..1.
    """
    d = ankle_m - hips_m
    span = np.linalg.norm(d, axis=-1)
    total = (thigh_m + shin_m)[:, None]
    span = np.clip(span, 0.25 * total, 0.9995 * total)
    along = unit(d)
    forward = np.stack([np.cos(yaw_rad), np.sin(yaw_rad), np.zeros_like(yaw_rad)], -1)
    forward[..., 1] += np.array([1.0, -1.0]) * 0.16 * spread[:, None]
    bend = frame(along, forward)[..., 1]  # where the knee goes
    cos = (thigh_m[:, None] ** 2 + span**2 - shin_m[:, None] ** 2) / (2 * thigh_m[:, None] * span)
    cos = np.clip(cos, -1, 1)
    sin = np.sqrt(1 - cos**2)
    knee = hips_m + thigh_m[:, None, None] * (cos[..., None] * along + sin[..., None] * bend)
    return knee, np.cross(bend, along)


def foot_rotation(yaw_rad: np.ndarray, pitch_rad: np.ndarray, rest_yaw_rad: np.ndarray) -> np.ndarray:
    """Rotations (B, 2, 3, 3) of feet that point ``rest_yaw_rad`` at rest."""
    return about("z", yaw_rad) @ about("y", -pitch_rad) @ about("z", -rest_yaw_rad)


def smooth_step(t: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, smooth between."""
    t = np.clip(t, 0.0, 1.0)
    return t * t * (3 - 2 * t)
