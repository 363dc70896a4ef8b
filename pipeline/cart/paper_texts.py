# SPDX-License-Identifier: AGPL-3.0-or-later
"""The words on a receipt, by language. Another language is another entry; what has none is English."""

from __future__ import annotations

from types import SimpleNamespace

_TEXTS = {
    "en": {
        "receipt": "Receipt",
        "number": "No.",
        "version": "version",
        "visit_of": "Visit of",
        "corrected": "Corrected receipt, in place of version {}",
        "charged_more": "Charged in addition",
        "paid_back": "Paid back to you",
        "no_difference": "The amount stays the same.",
        "item": "Item",
        "amount": "Amount",
        "person": "Person {}",
        "subtotal": "Subtotal",
        "without_tax": "Before tax",
        "sales_tax": "Sales tax",
        "total": "Total",
        "coupon": "coupon",
        "refund": "Refund",
        "nothing": "You took nothing that is charged.",
        "taxes": "VAT included",
        "rate": "Rate",
        "net": "Net",
        "tax": "VAT",
        "gross": "Gross",
        "held_title": "Being checked, not charged",
        "held_text": "Somebody looks at this first. Only what you took is charged; you then get a corrected receipt.",
        "no_payer": "No pass was shown at the entrance for this visit.",
        "question": "Is something wrong? Ask the shop's staff and name receipt",
    },
    "fr": {
        "receipt": "Ticket de caisse",
        "number": "N°",
        "version": "version",
        "visit_of": "Visite du",
        "corrected": "Ticket rectifié, remplace la version {}",
        "charged_more": "Montant débité en plus",
        "paid_back": "Montant remboursé",
        "no_difference": "Le montant reste le même.",
        "item": "Article",
        "amount": "Montant",
        "person": "Personne {}",
        "subtotal": "Sous-total",
        "without_tax": "Hors taxe",
        "sales_tax": "Taxe",
        "total": "Total",
        "coupon": "bon",
        "refund": "Remboursement",
        "nothing": "Vous n’avez rien pris de payant.",
        "taxes": "Dont TVA",
        "rate": "Taux",
        "net": "HT",
        "tax": "TVA",
        "gross": "TTC",
        "held_title": "En cours de vérification, non débité",
        "held_text": "Une personne vérifie d’abord. Seul ce que vous avez pris est débité ; vous recevrez alors un "
        "ticket rectifié.",
        "no_payer": "Aucun pass n’a été présenté à l’entrée pour cette visite.",
        "question": "Une erreur ? Adressez-vous au personnel du magasin en indiquant le ticket",
    },
}
LANGUAGES = tuple(_TEXTS)


def texts(language: str) -> SimpleNamespace:
    """The words in that language, or in English."""
    return SimpleNamespace(**_TEXTS.get(language, _TEXTS["en"]))
