# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a person network would see of a play, without pictures: geometry, then noise that was fitted to a network.

``bodies`` (a few points of everybody's surface over time) → ``views`` (boxes, key points and what hides them, camera by
camera) → ``noise`` (misses, false, merged and displaced boxes) → ``recording`` (files). ``fit`` measures the noise.
"""
