# SPDX-License-Identifier: AGPL-3.0-or-later
"""A store's own settings: `settings.yaml` beside its layout. Options of the command line go before them."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from calibration.layout import parse_model
from pipeline.cart.paper import PaperSettings
from pipeline.cart.rules import BillingRules
from pipeline.evidence.settings import EvidenceSettings
from pipeline.payment.settings import PaymentSettings
from pipeline.review.settings import ReviewSettings

FILE = "settings.yaml"


class StoreSettings(BaseModel):
    """All of it may be left out.

    `person_weights`, `product_weights`: a shipped name, a path, or a name that Ultralytics can download;
    `product_weights: none` where the cameras cannot see products. `keypoint_weights`: a shipped name or a path, `none`
    for the person network's own key points, `auto` for a second look with our own person network and none with others
    (which were trained for longer, on photographs). `log_url`: as `--log`. `billing`: the fields of
    `pipeline.cart.rules.BillingRules`. `payment`: those of `pipeline.payment.settings.PaymentSettings`. `paper`: what
    stands on receipts, the fields of `pipeline.cart.paper.PaperSettings`. `evidence`: clips and stills around events,
    those of `pipeline.evidence.settings.EvidenceSettings`. `review`: disputes and what is held, those of
    `pipeline.review.settings.ReviewSettings`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    person_weights: str = "walkout-person"
    product_weights: str = "walkout-product"
    keypoint_weights: str = "auto"
    log_url: str | None = None
    billing: BillingRules = Field(default_factory=BillingRules)
    payment: PaymentSettings = Field(default_factory=PaymentSettings)
    paper: PaperSettings = Field(default_factory=PaperSettings)
    evidence: EvidenceSettings = Field(default_factory=EvidenceSettings)
    review: ReviewSettings = Field(default_factory=ReviewSettings)


def load_settings(folder: Path) -> StoreSettings:
    """The settings in `folder`, or the defaults; `LayoutError` names the file and the field."""
    path = folder / FILE
    return parse_model(StoreSettings, path) if path.exists() else StoreSettings()
