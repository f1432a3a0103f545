from __future__ import annotations

import pytest

from indexer.secrets import find_secret, is_secret_name

# Tokens are put together here, so that no scanner takes this file for a leak.
BASE64_LINE = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"
RANDOM = "q8Zr3TnV0yKp6WmJ4sXc"
RANDOM_36 = RANDOM + "D7fLhG2bNu9RaE5t"


@pytest.mark.parametrize(
    "name",
    [
        ".env", ".env.local", ".env.production", "id_rsa", "id_ed25519", "server.pem", "cert.p12",
        "app.keystore", "credentials", "credentials.json", "secrets.yaml", ".netrc", "_netrc", ".npmrc",
        ".pypirc", ".pgpass", ".git-credentials", "service-account-prod.json", "client_secret_1.json",
        "prod.tfvars", "x/y/.ENV",
    ],
)  # fmt: skip
def test_names_of_files_that_hold_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        ".env.example", ".env.sample", ".env.template", "environment.py", "secrets.py", "credentials.py",
        "id_rsa.pub", "keys.py", "public.asc", "env.ts", "test_credentials.go", "key.rs", "keystore.java",
    ],
)  # fmt: skip
def test_names_of_ordinary_files(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ("-----BEGIN RSA PRIVATE " + "KEY-----\n" + BASE64_LINE, "private key"),
        ('KEY = "-----BEGIN PRIVATE ' + "KEY-----\\n" + BASE64_LINE + '"', "private key"),
        ("key = 'AKIA" + "Q3ZR7TNV5YKP6WMJ'", "AWS access key"),
        ("ghp_" + RANDOM_36, "GitHub token"),
        ("glpat-" + RANDOM, "GitLab token"),
        ("xoxb-" + "123987654321-" + RANDOM_36, "Slack token"),
        ("AIza" + RANDOM_36[:35], "Google key"),
        ("sk_live_" + RANDOM_36, "Stripe key"),
        ("sk-ant-" + "api03-" + RANDOM_36 + RANDOM_36, "Anthropic key"),
        ("sk-" + "proj-" + RANDOM_36 + RANDOM, "OpenAI key"),
        ("npm_" + RANDOM_36, "npm token"),
        (f'db_password = "{RANDOM}"', "assigned secret"),
        (f"  'apiKey': '{RANDOM}',", "assigned secret"),
        (f'const authToken: string = "{RANDOM}";', "assigned secret"),
        (f'client_secret => "{RANDOM}"', "assigned secret"),
    ],
)
def test_secrets_are_found(source: str, rule: str) -> None:
    assert find_secret(f"# before\n{source}\n# after\n".encode()) == rule


@pytest.mark.parametrize(
    "source",
    [
        'if header == "-----BEGIN PRIVATE KEY-----":',
        "AKIAIOSFODNN7EXAMPLE",
        'password = "correct-horse-battery-staple-1234"',
        'token = "your-token-goes-here-0123"',
        'API_KEY = "test_0123456789abcdef0123"',
        'password = os.environ["DATABASE_PASSWORD_PRODUCTION"]',
        'secret_name = "projects/acme/secrets/db-main/versions/12"',
        'TOKEN_URL = "https://example.org/oauth2/v1/token/abc123"',
        'key = "user.settings.theme.v2.colour"',
        f'digest = "{RANDOM}"',
        'password: str = "aaaaaaaaaaaaaaaaaaaaaaaa111"',
        'monkey = "' + RANDOM + '"',
        "sk-learn and task-based scheduling",
    ],
)
def test_ordinary_code_holds_no_secret(source: str) -> None:
    assert find_secret(source.encode()) is None
