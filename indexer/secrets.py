"""Files that hold secrets, by their name and by their content; such files are not indexed.

What is indexed is shown to people, stored in caches and given to the model, which may repeat it. A check of
names and known token shapes cannot find every secret; it is there so that the common ones stay where they
are. It leans to silence on ordinary code: a rule fires on a token's own shape, or on a random-looking value
that is assigned to a name like `password`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass

_SECRET_NAME = re.compile(
    r"(?:\.env|\.envrc|id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?|[._]netrc|\.npmrc|\.pypirc|\.pgpass|\.my\.cnf"
    r"|\.git-credentials|\.htpasswd|\.dockercfg|\.vault-token|\.s3cfg|\.boto|credentials|client_secret[^/]*\.json"
    r"|(?:credentials|secrets?|service[-_]?account[^/]*)\.(?:json|ya?ml|toml|ini|txt|properties)"
    r"|.*\.(?:pem|p12|pfx|pkcs12|jks|keystore|kdbx?|ppk|key|tfvars|tfstate|ovpn)|secret_token\.rb)\Z"
    r"|\.env\..*(?<!example)(?<!sample)(?<!template)(?<!dist)(?<!defaults)\Z",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Rule:
    name: str
    needles: tuple[bytes, ...]
    """One of these must occur, or the pattern is not tried: a plain search costs far less."""
    pattern: re.Pattern[bytes]
    checks_value: bool = True
    """Whether the first group, or else the match, must look random."""


def _rule(name: str, needles: tuple[bytes, ...], pattern: bytes, *, checks_value: bool = True) -> _Rule:
    return _Rule(name, needles, re.compile(pattern), checks_value)


_RULES = (
    _rule(
        "private key",
        (b"PRIVATE KEY",),
        # The key itself must follow, not only its heading, which any code that reads keys names.
        rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----[^-]{0,300}?[A-Za-z0-9+/]{44}",
        checks_value=False,
    ),
    _rule("AWS access key", (b"AKIA", b"ASIA"), rb"\b((?:AKIA|ASIA)[A-Z0-9]{16})\b"),
    _rule(
        "GitHub token",
        (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", b"github_pat_"),
        rb"\b((?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60}))",
    ),
    _rule("GitLab token", (b"glpat-",), rb"\b(glpat-[A-Za-z0-9_-]{20})"),
    _rule("Slack token", (b"xox",), rb"\b(xox[abeoprs]-[0-9A-Za-z-]{24,})"),
    _rule("Slack webhook", (b"hooks.slack.com",), rb"hooks\.slack\.com/services/(T\w{8,}/B\w{8,}/\w{20,})"),
    _rule("Google key", (b"AIza", b"GOCSPX-"), rb"\b(AIza[0-9A-Za-z_-]{35}|GOCSPX-[0-9A-Za-z_-]{28})"),
    _rule("Stripe key", (b"k_live_",), rb"\b([sr]k_live_[0-9A-Za-z]{20,})"),
    _rule("Anthropic key", (b"sk-ant-",), rb"\b(sk-ant-[a-z0-9]+-[A-Za-z0-9_-]{40,})"),
    _rule(
        "OpenAI key",
        (b"sk-",),
        rb"\b(sk-(?:(?:proj|svcacct|admin)-[A-Za-z0-9_-]{40,}|[A-Za-z0-9]{48}\b|[A-Za-z0-9]{20}T3BlbkFJ))",
    ),
    _rule(
        "npm token", (b"npm_", b"_authToken"), rb"\b(npm_[A-Za-z0-9]{36}\b)|_authToken=([A-Za-z0-9-]{30,})"
    ),
    _rule("PyPI token", (b"pypi-AgE",), rb"\b(pypi-AgE[A-Za-z0-9_-]{50,})"),
    _rule("Hugging Face token", (b"hf_",), rb"\b(hf_[A-Za-z]{34})\b"),
    _rule("SendGrid key", (b"SG.",), rb"\b(SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43})"),
    _rule("DigitalOcean token", (b"dop_v1_", b"doo_v1_"), rb"\b(do[op]_v1_[a-f0-9]{64})"),
    _rule("Azure storage key", (b"AccountKey=",), rb"AccountKey=([A-Za-z0-9+/]{86}==)"),
)

_SECRET_WORD = re.compile(
    rb"(?:passw(?:or)?d|passphrase|secret|(?:api|auth|access|private|signing|encryption)[_-]?key"
    rb"|(?:auth|access|api|bearer|refresh)[_-]?token|token|credential)[\w-]{0,12}\Z"
)
_WORDS = (b"passw", b"passphrase", b"secret", b"key", b"token", b"credential")
_NAME_BYTES = 60
_ASSIGNMENT = re.compile(rb"""(?:=>|:=|[:=])[ \t]*[brf]?["'`]([A-Za-z0-9+/=_.~!@#$^&*-]{20,256})["'`]""")
_NAME_BEFORE = re.compile(rb"""["'`]?([\w.-]+)["'`]?\]?[ \t]*(?::[ \t]*[\w. |?&<>*\[\]]{1,30})?[ \t]*\Z""")
_PLACEHOLDER = re.compile(
    rb"example|sample|dummy|fake|test|mock|placeholder|change|replace|your|insert|invalid|redacted|secret|passw"
    rb"|token|foo|bar|hello|xxx|\*\*\*|\.\.\.|000000|123456|abcdef|qwerty|deadbeef|lorem",
    re.IGNORECASE,
)
_MIN_ENTROPY_BITS = 3.5
"""Per character. Of 20 characters, words joined by dashes have 3.2 to 3.7, random base 62 about 4.0."""


def is_secret_name(path: str) -> bool:
    """Return whether a file's name says that it holds secrets: `.env`, `id_rsa`, `*.pem`, `.netrc`."""
    return _SECRET_NAME.match(path.rpartition("/")[2]) is not None


def find_secret(source: bytes) -> str | None:
    """Return the name of the first rule that finds a secret in a file's content, or None.

    The value itself is never returned, so that no message can repeat it.
    """
    for rule in _RULES:
        if not any(needle in source for needle in rule.needles):
            continue
        for match in rule.pattern.finditer(source):
            value = next((group for group in match.groups() if group), match[0])
            if not rule.checks_value or not _is_placeholder(value):
                return rule.name
    return "assigned secret" if _has_assigned_secret(source) else None


def _has_assigned_secret(source: bytes) -> bool:
    lowered = source.lower()
    if not any(word in lowered for word in _WORDS):
        return False
    for match in _ASSIGNMENT.finditer(source):
        value = match[1]
        if not _looks_random(value):
            continue
        before = lowered[max(0, match.start() - _NAME_BYTES) : match.start()]
        name = _NAME_BEFORE.search(before)
        if name is not None and _SECRET_WORD.search(name[1]):
            return True
    return False


def _is_placeholder(value: bytes) -> bool:
    return _PLACEHOLDER.search(value) is not None or _entropy_bits(value) < 3.0


def _looks_random(value: bytes) -> bool:
    """Return whether a value has the digits, the mix and the entropy of a generated one, and no words."""
    n_digits = sum(48 <= byte <= 57 for byte in value)
    n_letters = sum(byte | 32 in range(97, 123) for byte in value)
    if n_digits < 3 or n_letters < 3 or _PLACEHOLDER.search(value):
        return False
    # Words, constants and paths: long runs of letters of one case between separators.
    if re.search(rb"[a-z]{8}|[A-Z]{8}|[A-Za-z][a-z]{3,}[-_./][A-Za-z][a-z]{3,}", value):
        return False
    return _entropy_bits(value) >= _MIN_ENTROPY_BITS


def _entropy_bits(value: bytes) -> float:
    """Return Shannon's entropy of a value's own byte frequencies, in bits a byte."""
    n = len(value)
    return -sum(count / n * math.log2(count / n) for count in Counter(value).values())
