# SPDX-License-Identifier: AGPL-3.0-or-later
"""To be made."""

from fastapi import APIRouter

from pipeline.web.operator.parts import Operating


def settings_router(operating: Operating) -> APIRouter:
    return APIRouter(include_in_schema=False)
