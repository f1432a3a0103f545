"""Texts to type in, and what calls for a suggestion in them; a `|` is where the cursor stands."""

from __future__ import annotations

from nvim_editor import Editor

BILL = """from shop.customer import Customer
from shop.invoice import Invoice


def bill(customer: Customer) -> Invoice:
    invoice = Invoice(customer, "EUR")
    |
    return invoice
"""
BLOCK = """from shop.invoice import Invoice


def print_all(invoices: list[Invoice]) -> None:
    \"\"\"Print each invoice: the customer's name and email, and then its lines.\"\"\"
    |"""
REMIND = """from shop.customer import Customer
from shop.invoice import Invoice
from shop.mail import subject_of


def remind(customer: Customer, invoices: list[Invoice]) -> None:
    \"\"\"Print where to write, and the subject of a letter for each invoice.\"\"\"
    |"""
TYPED = "invoice.add_"


def suggested(editor: Editor, name: str = "shop/billing.py") -> str:
    """Type what calls for a suggestion in a new file, and return the suggestion."""
    editor.open(name, BILL)
    editor.type(TYPED)
    return editor.until_suggested()
