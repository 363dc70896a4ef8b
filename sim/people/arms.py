# SPDX-License-Identifier: AGPL-3.0-or-later
"""Arms and hands: two-bone inverse kinematics from shoulder to palm centre, elbows, twist, fingers.

The hand stays in line with the forearm, so the second "bone" runs from the elbow to the palm centre and the palm
meets its target exactly wherever the arm is long enough. Arrays are (B, 2, ...), left and right.
"""

from __future__ import annotations

import numpy as np

from sim.people.rotations import about, frame, signed_angle, turn, unit

SIGNS = np.array([1.0, -1.0])  # left is +y


def gait_arms(
    shoulder_m: np.ndarray,
    upper_m: np.ndarray,
    lower_m: np.ndarray,
    phase: np.ndarray,
    amplitude: np.ndarray,
    swing_rad: np.ndarray,
    abduction_rad: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Palms and elbows of hanging or swinging arms in a frame whose x is the chest's forward.

    Each arm swings against the leg of its side.

    Args:
        shoulder_m: (B, 2, 3). upper_m, lower_m, phase, amplitude, swing_rad, abduction_rad: (B,).
    """
    cycle = 2 * np.pi * (phase[:, None] + np.array([0.0, 0.5]))
    swing = -np.cos(cycle - 0.25)
    forward = swing_rad[:, None] * amplitude[:, None] * swing + np.radians(3) * (1 + amplitude[:, None])
    bend = np.radians(14) + np.radians(16) * amplitude[:, None] * np.maximum(0.0, swing + 0.4)
    outwards = about("x", SIGNS * abduction_rad[:, None])
    down = np.array([0.0, 0.0, -1.0])
    upper = turn(outwards @ about("y", -forward), down)
    lower = turn(about("x", SIGNS * abduction_rad[:, None] * 0.05) @ about("y", -forward - bend), down)
    elbow = shoulder_m + upper_m[:, None, None] * upper
    return elbow + lower_m[:, None, None] * lower, elbow


def solve(
    shoulder_m: np.ndarray,
    palm_m: np.ndarray,
    pole: np.ndarray,
    upper_m: np.ndarray,
    lower_m: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Elbows, palms and hinge axes (B, 2, 3) for wanted palms; a palm too far away is approached in a line.

    Args:
        pole: (B, 2, 3), from the shoulder, roughly where the elbow should point.
    """
    upper, lower = upper_m[:, None], lower_m[:, None]
    d = palm_m - shoulder_m
    span = np.linalg.norm(d, axis=-1)
    along = unit(d)
    span = np.clip(span, np.maximum(np.abs(upper - lower) + 0.02, 0.42 * (upper + lower)), 0.9985 * (upper + lower))
    cos = np.clip((upper**2 + span**2 - lower**2) / (2 * upper * span), -1, 1)
    sin = np.sqrt(1 - cos**2)
    side = frame(along, pole)[..., 1]
    elbow = shoulder_m + upper[..., None] * (cos[..., None] * along + sin[..., None] * side)
    palm = shoulder_m + span[..., None] * along
    return elbow, palm, np.cross(along, side)


def arm_rotations(
    rest_points: np.ndarray, shoulder: np.ndarray, elbow: np.ndarray, palm: np.ndarray, hinge: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rotations (B, 2, 3, 3) of upper arm and forearm from their rest pose.

    Args:
        rest_points: (B, 2, 3 points, 3): shoulder, elbow, palm at rest.
    """
    upper_rest, lower_rest = rest_points[:, :, 1] - rest_points[:, :, 0], rest_points[:, :, 2] - rest_points[:, :, 1]
    hinge_rest = np.cross(upper_rest, lower_rest)
    target = -hinge
    upper = frame(elbow - shoulder, target) @ np.swapaxes(frame(upper_rest, hinge_rest), -1, -2)
    lower = frame(palm - elbow, target) @ np.swapaxes(frame(lower_rest, hinge_rest), -1, -2)
    return upper, lower


def palm_twist(lower: np.ndarray, palm_rest_out: np.ndarray, axis: np.ndarray, wanted_out: np.ndarray) -> np.ndarray:
    """How far (B, 2) to turn the hand about the forearm so that the palm faces ``wanted_out``, within anatomy."""
    angle = signed_angle(turn(lower, palm_rest_out), wanted_out, unit(axis))
    # Falls back to nothing where the palm would have to face the other way: clipped, it would flip there.
    return np.interp(np.degrees(angle), [-180, -110, 110, 180], np.radians([0, -110, 110, 0]))


def finger_curl(grip: np.ndarray) -> np.ndarray:
    """Bend (..., 3 joints) in radians of the four fingers, from relaxed to a fist around a can."""
    grip = np.asarray(grip)[..., None]
    return np.radians(np.array([16.0, 24.0, 14.0]) + grip * np.array([42.0, 52.0, 32.0]))


def thumb_curl(grip: np.ndarray) -> np.ndarray:
    """Bend (..., 3 joints) in radians of the thumb towards the palm."""
    grip = np.asarray(grip)[..., None]
    return np.radians(np.array([4.0, 6.0, 6.0]) + grip * np.array([22.0, 26.0, 30.0]))
