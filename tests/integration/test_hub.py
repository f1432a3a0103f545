"""Hub ids are resolved against a local server that answers as the hub's HTTP API does."""

import hashlib
import threading

import pytest
from fake_servers import FakeServer

from model.errors import CatalogError, ConversionError, DownloadError
from model.hub import parse_hub_id, resolve
from model.network import make_client
from model.obtain import Downloads, obtain_hub

REPO = "Some/Model"


@pytest.fixture
def hub(monkeypatch):
    fake = FakeServer()
    monkeypatch.setenv("HF_ENDPOINT", fake.url + "/")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)
    yield fake
    fake.close()


@pytest.fixture
def client():
    with make_client() as client:
        yield client


SAFETENSORS = {
    "README.md": b"readme",
    "config.json": b"{}",
    "tokenizer.json": b"{tok}",
    "model-00001-of-00002.safetensors": b"first",
    "model-00002-of-00002.safetensors": b"second",
    "model.safetensors.index.json": b"{}",
    "consolidated.safetensors": b"all",
    "onnx/model.onnx": b"onnx",
}
WANTED = [
    "config.json",
    "tokenizer.json",
    "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",
]


def test_safetensors_come_with_configuration_and_tokenizer(hub, client):
    hub.put_hub_model(REPO, SAFETENSORS, small=("config.json",), cardData={"license": "apache-2.0"})
    model = resolve(client, REPO)
    assert [file.name for file in model.files] == WANTED
    assert (model.revision, model.licence) == ("c0ffee", "apache-2.0")
    first, *_, last = (file.remote for file in model.files)
    assert (first.size_bytes, first.sha256) == (2, None)
    assert (last.size_bytes, last.sha256) == (6, hashlib.sha256(b"second").hexdigest())
    assert last.url == f"{hub.url}/{REPO}/resolve/c0ffee/{WANTED[-1]}"


def test_the_users_token_is_sent(hub, client):
    hub.put_hub_model(REPO, SAFETENSORS)
    remote = resolve(client, REPO).files[0].remote
    assert hub.asked[0].authorization == remote.headers["authorization"] == "Bearer hf_secret"


def test_the_only_gguf_is_taken_and_of_several_one_must_be_named(hub, client):
    hub.put_hub_model(REPO, {"README.md": b"", "m-q4.gguf": b"q4"})
    assert [file.name for file in resolve(client, REPO).files] == ["m-q4.gguf"]
    hub.put_hub_model(REPO, {"m-q4.gguf": b"q4", "sub/m-q8.gguf": b"q8"})
    assert [file.name for file in resolve(client, f"{REPO}:sub/m-q8.gguf").files] == ["sub/m-q8.gguf"]
    with pytest.raises(CatalogError, match=rf"name one: {REPO}:m-q4\.gguf, {REPO}:sub/m-q8\.gguf"):
        resolve(client, REPO)
    with pytest.raises(CatalogError, match=r"has no file 'm-q5\.gguf'; it has m-q4\.gguf"):
        resolve(client, f"{REPO}:m-q5.gguf")


def test_a_model_without_weights_is_refused(hub, client):
    hub.put_hub_model(REPO, {"README.md": b"", "pytorch_model.bin": b"pickle"})
    with pytest.raises(CatalogError, match=r"neither safetensors with a config\.json nor a GGUF"):
        resolve(client, REPO)


@pytest.mark.parametrize("facts", [{"config": {"model_type": "llama"}}, {"gguf": {"architecture": "llama"}}])
def test_another_architecture_is_refused_before_its_download(hub, client, facts):
    hub.put_hub_model(REPO, SAFETENSORS, **facts)
    with pytest.raises(ConversionError, match="is of architecture 'llama'; the importer knows qwen2"):
        resolve(client, REPO)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_model_that_is_not_there_for_the_user_says_so(hub, client, status):
    hub.refuse[f"/api/models/{REPO}"] = [status]
    with pytest.raises(DownloadError, match=rf"no model {REPO} for you \({status}\).*HF_TOKEN"):
        resolve(client, REPO)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b'{"config": 1}',
        b'{"gguf": [1]}',
        b'{"siblings": 1}',
        b'{"siblings": [{"rfilename": "a.gguf", "lfs": 1}]}',
        b'{"siblings": [{"rfilename": "a.gguf", "size": "1"}]}',
        b'{"siblings": [{"rfilename": "a.gguf"}], "cardData": [1]}',
    ],
)
def test_an_answer_of_something_else_is_refused(hub, client, body):
    hub.put(f"/api/models/{REPO}", body, "application/json")
    with pytest.raises(DownloadError, match="no usable answer"):
        resolve(client, REPO)


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_means_that_nothing_is_asked(hub, client, monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    with pytest.raises(DownloadError, match="switched off"):
        resolve(client, REPO)
    assert hub.asked == []


def test_a_hub_that_does_not_answer_is_given_up(hub, client):
    hub.hold = threading.Event()
    with pytest.raises(DownloadError, match=r"did not answer within 0\.01 s"):
        resolve(client, REPO, answer_within_s=0.01)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("Owner/Name", ("Owner/Name", None)),
        ("Owner/Name:f.gguf", ("Owner/Name", "f.gguf")),
        ("Owner", None),
        ("Owner/Name/more", None),
        ("Owner/..", None),
        ("Owner/Name:", None),
        ("Öwner/Name", None),
    ],
)
def test_hub_ids(text, parsed):
    assert parse_hub_id(text) == parsed


def _obtain(client, folder, hub_id=REPO):
    folder.mkdir(exist_ok=True)
    return obtain_hub(Downloads(client, folder, lambda _: None, lambda _: None), hub_id)


def test_the_files_of_a_model_lie_in_one_folder_of_its_revision(hub, client, tmp_path):
    hub.put_hub_model(REPO, SAFETENSORS, small=("config.json",), cardData={"license": "mit"})
    path, licence = _obtain(client, tmp_path / "d")
    assert licence == "mit"
    assert path == tmp_path / "d" / "c0ffee"
    assert {file.name: file.read_bytes() for file in path.iterdir()} == {
        name: SAFETENSORS[name] for name in WANTED
    }


def test_files_that_have_arrived_are_not_fetched_again(hub, client, tmp_path):
    hub.put_hub_model(REPO, SAFETENSORS)
    last = f"/{REPO}/resolve/c0ffee/{WANTED[-1]}"
    hub.refuse[last] = [404]
    with pytest.raises(DownloadError, match="404"):
        _obtain(client, tmp_path / "d")
    hub.asked.clear()
    _obtain(client, tmp_path / "d")
    assert [asked.path for asked in hub.asked] == [f"/api/models/{REPO}", last]


@pytest.mark.parametrize("name", ["..", "a:b.gguf", "sub/.."])
def test_a_listed_name_cannot_lead_out_of_the_folder(hub, client, tmp_path, name):
    hub.put_hub_model(REPO, {name: b"evil"})
    hub.put_hub_model(REPO, {"x.gguf": b"x", name: b"evil"})
    folder = tmp_path / "d"
    with pytest.raises((DownloadError, CatalogError)):
        _obtain(client, folder, f"{REPO}:{name}" if name != "a:b.gguf" else f"{REPO}:a:b.gguf")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
