"""A small repository to edit: a shop's invoices, with a history."""

from __future__ import annotations

import subprocess
from pathlib import Path

from command import write_repository

FILES = {
    "shop/__init__.py": '"""What a shop sells, and to whom."""\n',
    "shop/customer.py": '''"""Who buys."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Customer:
    """Somebody who is sent invoices."""

    name: str
    email: str
    country_code: str

    def is_domestic(self, home_country: str) -> bool:
        """Return whether taxes of the shop's own country apply."""
        return self.country_code == home_country
''',
    "shop/invoice.py": '''"""What customers owe."""

from shop.customer import Customer


class Invoice:
    """What one customer owes, line by line."""

    def __init__(self, customer: Customer, currency_code: str) -> None:
        self.customer = customer
        self.currency_code = currency_code
        self.lines: list[tuple[str, int]] = []

    def add_line(self, description: str, amount_cents: int) -> None:
        """Add one line to what is owed."""
        self.lines.append((description, amount_cents))

    def total_cents(self) -> int:
        """Return the sum of all lines."""
        return sum(amount_cents for _, amount_cents in self.lines)
''',
    "shop/mail.py": '''"""How customers hear of it."""

from shop.invoice import Invoice


def subject_of(invoice: Invoice) -> str:
    """Return what stands above a letter about an invoice."""
    return f"{invoice.customer.name}: {invoice.total_cents() / 100:.2f} {invoice.currency_code}"
''',
    "README.md": "# Shop\n\nSends invoices to customers.\n",
}


def write_shop(root: Path) -> Path:
    """Write the repository, and commit it."""
    write_repository(root, FILES)
    author = ["-c", "user.name=Shop", "-c", "user.email=shop@example.org", "-c", "commit.gpgsign=false"]
    for arguments in (
        ["init", "--quiet"],
        ["add", "."],
        [*author, "commit", "--quiet", "--message=Invoices"],
    ):
        subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True)
    return root
