# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a camera does to a picture after the lens: exposure, colour, vignetting, blur and noise.

Everything random comes from (seed, camera, frame index), so a picture is the same however often it is made.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from sim.render.drawn import Drawn
from sim.render.rects import Rect, grown

_TILE_PX = 640
_TILE_MARGIN_PX = 96


@dataclass(frozen=True)
class SensorSettings:
    """Settings of one camera.

    Attributes:
        exposure: factor on the light.
        white_balance: gains of blue, green and red.
        saturation: 1 leaves colours alone, 0 is grey.
        contrast: 0 leaves the tone curve straight, 1 is a strong S.
        black_level: what no light at all gives, 0..255.
        vignetting: share of the light that the corners lose.
        noise: standard deviation in grey levels (of 255).
        noise_grain_px: size of a noise grain; above 0.5 it looks like noise that went through a demosaicing filter.
        colour_noise: 0 grey noise, 1 independent in every channel.
        blur_px: standard deviation of the lens's blur.
        sharpen: strength of the camera's own sharpening, 0..2; it leaves the halos cheap cameras have.
        flicker: relative amplitude of lamps that flicker.
        flicker_hz: as it shows in the video after aliasing.
        shutter_s: how long the shutter is open; the renderer blurs what moves by that much.
    """

    exposure: float = 1.0
    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    saturation: float = 1.0
    contrast: float = 0.25
    black_level: float = 3.0
    vignetting: float = 0.18
    noise: float = 2.0
    noise_grain_px: float = 0.6
    colour_noise: float = 0.5
    blur_px: float = 0.0
    sharpen: float = 0.3
    flicker: float = 0.0
    flicker_hz: float = 1.7
    shutter_s: float = 0.012


class Sensor:
    """The sensor of one camera. `size_px`: width, height."""

    def __init__(self, settings: SensorSettings, camera_id: str, size_px: tuple[int, int], seed: int = 0) -> None:
        self.settings = settings
        self._key = (seed, zlib.crc32(camera_id.encode()))
        width, height = size_px
        # Balance goes with the vignetting, so that one tone curve does for all channels.
        self._balance = max(settings.white_balance)
        plain = settings.vignetting == 0 and min(settings.white_balance) == self._balance
        self._shade = None if plain else _shade(width, height, settings)
        self._grain = _noise_tiles(width, height, settings, self._key) if settings.noise > 0 else None
        self._size_px = size_px
        # How far a pixel reaches in what is made of it: sharpening's 3x3, and OpenCV's Gaussian of three deviations.
        self._reach_px = 1 + (int(np.ceil(3 * settings.blur_px)) + 1 if settings.blur_px > 0 else 0)
        self._background: np.ndarray | None = None
        self._background_of: tuple[int, float] = (-1, 0.0)  # version and gain

    def apply(self, picture: np.ndarray, frame_index: int, at_s: float, light: float = 1.0) -> np.ndarray:
        """uint8 (H, W, 3) BGR as drawn to uint8 (H, W, 3) BGR as the camera gives it. `at_s`: time, for the flicker.
        `light`: factor on what the lamps give at that time."""
        return _grained(self._developed(picture, self._gain(at_s, light)), self._grain_of(frame_index))

    def apply_over(self, drawn: Drawn, frame_index: int, at_s: float, light: float = 1.0) -> np.ndarray:
        """The same as `apply` to `drawn.picture`; the background is only worked out when it or the light changes."""
        gain = self._gain(at_s, light)
        lit_alike = gain == self._background_of[1]
        if (drawn.version, gain) != self._background_of:
            self._background, self._background_of = None, (drawn.version, gain)
        if self._background is None:
            if not lit_alike:  # light that changes with each picture: no background would be used twice
                return self.apply(drawn.picture, frame_index, at_s, light)
            self._background = self._developed(drawn.background, gain)
        grain = self._grain_of(frame_index)
        out = _grained(self._background, grain)
        for rect in drawn.changed:
            seen = grown(rect, self._reach_px, self._size_px, grid=1)
            around = grown(seen, self._reach_px, self._size_px, grid=1)
            part = self._developed(drawn.picture[_within(around)], gain, around)
            part = part[_within(seen, around[:2])]
            out[_within(seen)] = _grained(part, [tile[_within(seen)] for tile in grain])
        return out

    def _gain(self, at_s: float, light: float) -> float:
        s = self.settings
        flicker = 1 + s.flicker * np.sin(2 * np.pi * s.flicker_hz * at_s + self._key[1] % 7)
        return light * self._balance * s.exposure * flicker

    def _developed(self, picture: np.ndarray, gain: float, rect: Rect | None = None) -> np.ndarray:
        """All but the noise; of a part of the picture where it is given."""
        s = self.settings
        if s.blur_px > 0:
            picture = cv2.GaussianBlur(picture, (0, 0), s.blur_px)
        if self._shade is not None:
            shade = self._shade if rect is None else self._shade[_within(rect)]
            picture = cv2.multiply(picture, shade, scale=1 / 255)
        if s.saturation != 1:
            picture = cv2.transform(picture, _saturation(s.saturation))
        picture = cv2.LUT(picture, _tone_curve(gain, s))
        if s.sharpen > 0:
            soft = cv2.blur(picture, (3, 3))
            picture = cv2.addWeighted(picture, 1 + s.sharpen, soft, -s.sharpen, 0)
        return picture

    def _grain_of(self, frame_index: int) -> list[np.ndarray]:
        """What to add to a picture and what to take away, uint8 (H, W, 3) each; nothing without noise."""
        if self._grain is None:
            return []
        rng = np.random.default_rng((*self._key, frame_index))
        width, height = self._size_px
        corners = [rng.integers(0, _TILE_MARGIN_PX, 2) for _ in self._grain]
        return [tile[y : y + height, x : x + width] for tile, (x, y) in zip(self._grain, corners, strict=True)]


def _grained(picture: np.ndarray, grain: list[np.ndarray]) -> np.ndarray:
    if not grain:
        return picture.copy()
    out = cv2.add(picture, grain[0])
    return cv2.subtract(out, grain[1], dst=out)


def _within(rect: Rect, corner: tuple[int, int] = (0, 0)) -> tuple[slice, slice]:
    """The rows and columns of a rectangle, in an array whose first pixel is `corner`."""
    left, top, right, bottom = rect
    return slice(top - corner[1], bottom - corner[1]), slice(left - corner[0], right - corner[0])


def _tone_curve(gain: float, s: SensorSettings) -> np.ndarray:
    """uint8 (256,). Grey levels are taken as gamma 2, so a gain on the light is its root on the levels."""
    x = np.arange(256) / 255 * np.sqrt(max(gain, 0.0))
    x = np.where(x < 0.8, x, 0.8 + 0.2 * np.tanh((x - 0.8) / 0.2))  # highlights roll off
    x = x + s.contrast * (x * x * (3 - 2 * x) - x)
    return np.clip(np.round(s.black_level + x * (255 - s.black_level)), 0, 255).astype(np.uint8)


def _saturation(amount: float) -> np.ndarray:
    grey = np.array([0.114, 0.587, 0.299])
    return amount * np.eye(3) + (1 - amount) * np.tile(grey, (3, 1))


def _shade(width: int, height: int, s: SensorSettings) -> np.ndarray:
    """uint8 (H, W, 3): vignetting and white balance, at most 255. The root, as levels are gamma 2."""
    x, y = np.linspace(-1, 1, width), np.linspace(-1, 1, height)
    r2 = (x[None] ** 2 + y[:, None] ** 2) / 2
    balance = np.array(s.white_balance) / max(s.white_balance)
    return np.round(255 * np.sqrt((1 - s.vignetting * r2)[..., None] * balance)).astype(np.uint8)


def _noise_tiles(width: int, height: int, s: SensorSettings, key: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """What to add and what to subtract, uint8 (H + margin, W + margin, 3): cut at random places, they are the noise."""
    rng = np.random.default_rng((*key, 0x6E6F6973))
    repeats = [-(-(v + _TILE_MARGIN_PX) // _TILE_PX) for v in (height, width)]
    tiles = []
    for rough in _unit_noise(s.noise_grain_px, s.colour_noise):
        # Two half-normal parts, one added and one taken away; the difference has `noise` as its deviation.
        tile = np.maximum(rough, 0) * np.float32(s.noise / np.sqrt(2 * 0.3408))
        tile += rng.random(tile.shape, np.float32)  # dithered: small noise is not lost
        whole = np.clip(tile, 0, 255).astype(np.uint8)
        tiles.append(np.tile(whole, (*repeats, 1))[: height + _TILE_MARGIN_PX, : width + _TILE_MARGIN_PX].copy())
    return tiles[0], tiles[1]


@cache
def _unit_noise(grain_px: float, colour: float) -> tuple[np.ndarray, np.ndarray]:
    """Two tiles of noise, float32 (N, N, 3), deviation 1, that fit together at their edges."""
    rng = np.random.default_rng(0x7469_6C65)
    tiles = []
    for _ in range(2):
        grey = rng.standard_normal((_TILE_PX, _TILE_PX, 1), np.float32)
        tile = (1 - colour) * grey + colour * rng.standard_normal((_TILE_PX, _TILE_PX, 3), np.float32)
        if grain_px > 0.3:
            border = 8
            tile = np.pad(tile, ((border, border), (border, border), (0, 0)), mode="wrap")
            tile = cv2.GaussianBlur(tile, (0, 0), grain_px)[border:-border, border:-border]
        tiles.append(tile / tile.std())
    return tiles[0], tiles[1]
