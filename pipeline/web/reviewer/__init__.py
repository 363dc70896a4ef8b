# SPDX-License-Identifier: AGPL-3.0-or-later
"""The reviewer's pages and API: the queue, one case with its evidence, figures, the audit trail. No rule lives here."""
