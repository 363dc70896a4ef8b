# SPDX-License-Identifier: AGPL-3.0-or-later
"""How a code reaches whoever signs in: by mail, or on the screen while one tries things out."""

from __future__ import annotations

import logging
import os
import smtplib
import ssl
from collections import deque
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Protocol

from pipeline.accounts.settings import AccountSettings, Smtp
from pipeline.errors import AccountError

logger = logging.getLogger(__name__)

_TEXTS = {
    "en": (
        "Your code: {code}",
        "Your sign-in code is {code}. It is good for {minutes} minutes.\n\nOr open this link:\n{link}\n\n"
        "If you did not ask for it, do nothing.\n",
    ),
    "fr": (
        "Votre code : {code}",
        "Votre code de connexion est {code}. Il est valable {minutes} minutes.\n\nOu ouvrez ce lien :\n{link}\n\n"
        "Si vous ne l’avez pas demandé, ne faites rien.\n",
    ),
}


@dataclass(frozen=True)
class Sent:
    address: str
    code: str
    link: str


class Sender(Protocol):
    def send(self, address: str, code: str, link: str, minutes: int, locale: str) -> None:
        """`AccountError` when it cannot be sent."""


class DevelopmentSender:
    """Keeps the last messages and writes them to the log. For one machine: whoever sees the page is let in."""

    def __init__(self) -> None:
        self.sent: deque[Sent] = deque(maxlen=50)

    def send(self, address: str, code: str, link: str, minutes: int, locale: str) -> None:
        self.sent.append(Sent(address, code, link))
        logger.warning("development sender: %s has code %s, or %s", address, code, link)

    def last(self, address: str) -> Sent | None:
        return next((sent for sent in reversed(self.sent) if sent.address == address), None)


class NoSender:
    def send(self, address: str, code: str, link: str, minutes: int, locale: str) -> None:
        raise AccountError("codes cannot be sent here: accounts.yaml names no sender (sender: smtp)")


class SmtpSender:
    def __init__(self, smtp: Smtp) -> None:
        self._smtp = smtp

    def send(self, address: str, code: str, link: str, minutes: int, locale: str) -> None:
        subject, text = _TEXTS.get(locale, _TEXTS["en"])
        message = EmailMessage()
        message["From"], message["To"] = self._smtp.from_address, address
        message["Subject"] = subject.format(code=code)
        message.set_content(text.format(code=code, link=link, minutes=minutes))
        try:
            with smtplib.SMTP(self._smtp.host, self._smtp.port, timeout=10) as server:
                if self._smtp.starttls:
                    server.starttls(context=ssl.create_default_context())
                if self._smtp.user:
                    server.login(self._smtp.user, os.environ.get(self._smtp.password_env or "", ""))
                server.send_message(message)
        except (OSError, smtplib.SMTPException) as error:
            raise AccountError(f"mail by {self._smtp.host}:{self._smtp.port} failed: {error}") from error


def open_sender(settings: AccountSettings) -> Sender:
    if settings.sender == "development":
        return DevelopmentSender()
    if settings.sender == "smtp":
        if settings.smtp is None:
            raise AccountError("accounts.yaml: sender is smtp, but there is no smtp section")
        return SmtpSender(settings.smtp)
    return NoSender()
