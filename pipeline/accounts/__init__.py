# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who people are: users and roles, signing in, sessions, and forgetting a shopper."""

from pipeline.accounts.accounts import Accounts
from pipeline.accounts.settings import AccountSettings, load_account_settings
from pipeline.accounts.users import ROLES, User

__all__ = ["ROLES", "AccountSettings", "Accounts", "User", "load_account_settings"]
