# SPDX-License-Identifier: AGPL-3.0-or-later
"""How many passes a camera at the gate reads: drawn phones over a grid of size, tilt, light and blur.

    python tests/benchmarks/code_read_rate.py [--each 10] [--json]

Drawn, not photographed: a phone in perspective over a noisy background, with a gradient of light, a glare, blur of lens
and hand, sensor noise and JPEG. Each cell is the share of `--each` pictures whose code is read.
"""

from __future__ import annotations

import argparse
import json
import time

import cv2
import numpy as np

from pipeline.gate.codes import read_codes
from pipeline.passes import KeyRing, PassIssuer
from pipeline.passes.picture import pixels_of

SIZE_PX = (640, 480)
NOW_S = 1_767_603_600


def photographed(
    token: str, rng: np.random.Generator, *, side_px: float = 240, tilt_deg: float = 0, light: float = 1.0,
    blur_px: float = 0.0, turn_deg: float = 0.0,
) -> np.ndarray:  # fmt: skip
    """uint8 (480, 640): a phone that shows the pass. `side_px`: the code's side before the tilt; `light`: 1 is a bright
    screen, 0.1 a dim one; `tilt_deg`: away from the camera; `turn_deg`: in the picture."""
    code = pixels_of(token, 8)
    screen = np.full((code.shape[0] * 2, round(code.shape[1] * 1.15)), 240, np.uint8)
    y, x = (screen.shape[0] - code.shape[0]) // 2, (screen.shape[1] - code.shape[1]) // 2
    screen[y : y + code.shape[0], x : x + code.shape[1]] = code
    height, width = screen.shape
    # The phone as a plane in front of a pinhole camera, tilted about a random axis in its plane.
    corners = np.array([[-width, -height], [width, -height], [width, height], [-width, height]], float) / 2
    axis, turn, tilt = rng.uniform(0, 2 * np.pi), np.deg2rad(turn_deg), np.deg2rad(tilt_deg)
    rotation = (
        cv2.Rodrigues(tilt * np.array([np.cos(axis), np.sin(axis), 0.0]))[0]
        @ cv2.Rodrigues(np.array([0.0, 0.0, turn]))[0]
    )
    scale = side_px / (code.shape[0] - 64)  # the quiet zone is not the code
    points = np.column_stack([corners * scale, np.zeros(4)]) @ rotation.T
    depth = 1 + points[:, 2] / 900
    centre = np.array(SIZE_PX) / 2 + rng.uniform(-30, 30, 2)
    target = (points[:, :2] / depth[:, None] + centre).astype(np.float32)
    source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    warp = cv2.getPerspectiveTransform(source, target)
    # Smaller than it was drawn: averaged first, as a sensor's pixels do.
    sigma = max(0.35 * (1 / max(scale, 1e-3) - 1), 0.01)
    smooth = cv2.GaussianBlur(screen, (0, 0), sigma) if scale < 1 else screen
    behind = cv2.resize(rng.uniform(20, 200, (12, 16)).astype(np.float32), SIZE_PX, interpolation=cv2.INTER_CUBIC)
    shown = cv2.warpPerspective(smooth.astype(np.float32), warp, SIZE_PX, flags=cv2.INTER_LINEAR)
    mask = cv2.warpPerspective(np.ones(screen.shape, np.float32), warp, SIZE_PX, flags=cv2.INTER_LINEAR)
    picture = behind * (1 - mask) + shown * mask
    ramp = np.linspace(rng.uniform(0.7, 1), rng.uniform(0.7, 1), SIZE_PX[0])[None, :]
    glare = np.zeros(SIZE_PX[::-1], np.float32)
    at = tuple(int(v) for v in centre + rng.uniform(-80, 80, 2))
    cv2.circle(glare, at, 40, 60.0, -1)
    picture = picture * ramp * light + cv2.GaussianBlur(glare, (0, 0), 25) * light
    if blur_px > 0:
        picture = cv2.GaussianBlur(picture, (0, 0), blur_px)
    picture = picture + rng.normal(0, 3.0, picture.shape)  # the sensor's noise does not get less with the light
    ok, jpeg = cv2.imencode(".jpg", np.clip(picture, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 80])
    assert ok
    return cv2.imdecode(jpeg, cv2.IMREAD_GRAYSCALE)


GRID = {
    "side_px": (60, 90, 120, 180, 240, 320),
    "tilt_deg": (0, 20, 40, 50, 60),
    "light": (1.0, 0.5, 0.2, 0.1, 0.05),
    "blur_px": (0.0, 1.0, 1.5, 2.0, 3.0),
    "turn_deg": (0, 45, 90, 180),
}
"""One setting at a time; the others as in `photographed`."""


def read_rate(each: int, seed: int = 0) -> dict[str, dict[float, float]]:
    """Setting -> value -> share of pictures whose code is read."""
    issuer, rates = PassIssuer(KeyRing.new(NOW_S)), {}
    for setting, values in GRID.items():
        rates[setting] = {}
        for value in values:
            rng = np.random.default_rng([seed, round(100 * value)])
            right = 0
            for k in range(each):
                token = issuer.issue(f"shopper-{k}", "nanostore", NOW_S)
                right += read_codes(photographed(token, rng, **{setting: value})) == [token]
            rates[setting][value] = right / each
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--each", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    start = time.perf_counter()
    rates = read_rate(arguments.each)
    if arguments.json:
        print(json.dumps(rates, indent=1))
        return
    for setting, values in rates.items():
        print(f"{setting:>9}: " + "  ".join(f"{value:g}: {rate:.0%}" for value, rate in values.items()))
    print(f"{arguments.each} pictures each, {SIZE_PX[0]}x{SIZE_PX[1]}, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
