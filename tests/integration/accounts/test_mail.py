# SPDX-License-Identifier: AGPL-3.0-or-later
"""Codes leave by mail, through a small SMTP server on loopback."""

import re
import socketserver
import threading
from email import message_from_bytes, policy

import pytest

from pipeline.accounts import Accounts, AccountSettings
from pipeline.accounts.settings import Smtp
from pipeline.errors import AccountError
from pipeline.state import Database


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Session)
        self.taken = []


class Session(socketserver.StreamRequestHandler):
    """RFC 5321, as much as one message needs."""

    def handle(self):
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            verb = line.split()[0].upper() if line.split() else b""
            if verb == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                body = b""
                while (line := self.rfile.readline()) != b".\r\n":
                    body += line[1:] if line.startswith(b"..") else line
                self.server.taken.append(body)
            self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
            if verb == b"QUIT":
                return


@pytest.fixture
def server():
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def accounts(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/state.sqlite")

    def make(port):
        smtp = Smtp(host="127.0.0.1", port=port, starttls=False, from_address="shop@example.org")
        settings = AccountSettings(public_url="https://shop.test", sender="smtp", smtp=smtp)
        return Accounts(database, settings)

    yield make
    database.close()


@pytest.mark.parametrize(("locale", "words"), [("en", "Your sign-in code is"), ("fr", "Votre code de connexion est")])
def test_the_mail_has_a_code_and_a_link_that_sign_in(server, accounts, locale, words):
    accounts = accounts(server.server_address[1])
    request = accounts.codes.ask("anna@example.org", locale)
    mail = message_from_bytes(server.taken[0], policy=policy.default)
    text = mail.get_content()
    assert mail["To"] == "anna@example.org" and mail["From"] == "shop@example.org" and words in text
    code = re.search(r"\b\d{6}\b", text)[0]
    assert re.search(r"https://shop\.test/sign-in/link/[\w-]{43}", text)
    assert accounts.with_code(request, code).address == "anna@example.org"


def test_a_mail_server_that_is_away_is_one_line(accounts):
    with pytest.raises(AccountError, match=r"mail by 127\.0\.0\.1:9 failed"):
        accounts(9).codes.ask("anna@example.org")
