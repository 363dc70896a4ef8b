# SPDX-License-Identifier: AGPL-3.0-or-later
"""One identity a person over all cameras, from boxes and key points."""
