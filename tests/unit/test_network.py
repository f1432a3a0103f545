"""Settings of the network are found where pip, uv and the system keep them."""

import os
import threading

import pytest

from model.errors import DownloadError
from model.network import make_client, pip_setting, within
from model.wheels import DEFAULT_INDEX, index_urls

VARIABLES = [
    "PIP_CONFIG_FILE",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_NO_INDEX",
    "PIP_CERT",
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "UV_INDEX",
    "UV_EXTRA_INDEX_URL",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
]


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, (DEFAULT_INDEX,)),
        ({"PIP_INDEX_URL": "https://a/simple/"}, ("https://a/simple",)),
        ({"PIP_INDEX_URL": "https://a", "UV_INDEX_URL": "https://b"}, ("https://b",)),
        ({"UV_INDEX_URL": "https://b", "UV_DEFAULT_INDEX": "https://c"}, ("https://c",)),
        ({"UV_INDEX": "own=https://d https://e"}, (DEFAULT_INDEX, "https://d", "https://e")),
        ({"PIP_EXTRA_INDEX_URL": "https://d file:///e"}, (DEFAULT_INDEX, "https://d")),
        ({"PIP_EXTRA_INDEX_URL": DEFAULT_INDEX}, (DEFAULT_INDEX,)),
        ({"PIP_NO_INDEX": "1", "PIP_INDEX_URL": "https://a"}, ()),
        ({"PIP_NO_INDEX": "false"}, (DEFAULT_INDEX,)),
    ],
)
def test_the_package_index_is_found_as_pip_and_uv_find_it(monkeypatch, variables, expected):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert index_urls() == expected


def test_a_variable_wins_over_pips_file_and_install_over_global(monkeypatch, tmp_path):
    file = tmp_path / "pip.conf"
    file.write_text(
        "[global]\nindex-url = https://g/simple\ncert = g.pem\n[install]\nindex-url = https://i/simple\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    assert pip_setting("index-url") == "https://i/simple"
    assert pip_setting("cert") == "g.pem"
    monkeypatch.setenv("PIP_INDEX_URL", "https://v/simple")
    assert pip_setting("index-url") == "https://v/simple"
    assert pip_setting("proxy") is None


def test_a_broken_file_of_pips_is_passed_over(monkeypatch, tmp_path):
    file = tmp_path / "pip.conf"
    file.write_text("index-url = without a section\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    assert pip_setting("index-url") is None


def test_certificates_that_cannot_be_read_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    with pytest.raises(DownloadError, match=r"REQUESTS_CA_BUNDLE names certificates.*missing\.pem"):
        make_client()


def test_who_does_not_answer_in_time_is_given_up():
    never = threading.Event()
    try:
        with pytest.raises(DownloadError, match=r"the hub did not answer within 0\.01 s"):
            within(0.01, "the hub", never.wait)
    finally:
        never.set()


def test_an_answer_and_an_error_are_passed_on():
    assert within(60, "the hub", lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        within(60, "the hub", lambda: 1 // 0)
