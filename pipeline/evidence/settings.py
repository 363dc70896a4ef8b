# SPDX-License-Identifier: AGPL-3.0-or-later
"""What is kept of an event, where, and for how long: the block `evidence:` of a store's settings.yaml."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class EvidenceSettings(BaseModel):
    """All of it may be left out.

    `keep`: false keeps no clips and stills at all. `url`: where they lie, a folder or any URL that fsspec knows
    (`s3://bucket/prefix`); by default the folder `evidence` in a recording's run, or in a live store's own folder.
    `storage_options`: what fsspec wants for that URL (an S3 endpoint; keys belong into the environment).

    `before_s`, `after_s`: how much a clip shows before and after the hand was in the shelf, at most `longest_s` in all.
    `max_cameras`: clips an event, the cameras that see it best first. `max_side_px`: clips are made at most this large.
    `crf`: x264's quality, lower is better and larger. `key_every`: a key frame every so many frames, for stepping.

    `box_margin`: share of a person's box that is blurred around it. `lost_s`: how long somebody who is not found any
    more stays blurred where they were last seen (and were first seen, before that).

    `days`: after so many days clips and stills are deleted. `ring_s`: seconds of encoded video that a live store keeps
    of each camera, and `ring_mb` the most memory that may take, a camera. `queue`: events that may wait for their
    clips.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    keep: bool = True
    url: str | None = None
    storage_options: dict[str, object] = Field(default_factory=dict)
    before_s: float = Field(default=2.0, ge=0, le=30)
    after_s: float = Field(default=2.0, ge=0, le=30)
    longest_s: float = Field(default=15.0, gt=0, le=120)
    max_cameras: int = Field(default=4, ge=1, le=32)
    max_side_px: int = Field(default=1280, ge=160, le=4096)
    crf: int = Field(default=28, ge=10, le=40)
    key_every: int = Field(default=10, ge=1, le=250)
    box_margin: float = Field(default=0.15, ge=0, le=1)
    lost_s: float = Field(default=1.5, ge=0, le=10)
    days: float = Field(default=30.0, gt=0, le=3650)
    ring_s: float = Field(default=60.0, gt=0, le=600)
    ring_mb: float = Field(default=64.0, gt=0, le=4096)
    queue: int = Field(default=64, ge=1, le=10_000)
