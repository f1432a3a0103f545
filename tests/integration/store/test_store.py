"""Installed models: found, checked, removed."""

import pytest
from pulling import CONTENT, files_in, pull, serve_hub

from model.errors import (
    DamagedModelError,
    NotInstalledError,
)


def test_verify_names_every_damaged_file(hub, store):
    serve_hub(hub)
    folder = pull(store).folder
    (folder / "decoder.data").write_bytes(CONTENT[:-1] + b"\0")
    counted = []
    with pytest.raises(
        DamagedModelError, match=r"other bytes in decoder\.data: run `crosslight model pull tiny --force`"
    ):
        store.verify("tiny", counted.append)
    assert (counted[-1].done, counted[-1].total) == (len(CONTENT), len(CONTENT))
    (folder / "decoder.data").unlink()
    with pytest.raises(DamagedModelError, match=r"lacks decoder\.data"):
        store.verify("tiny")
    assert store.list() == ()
    assert pull(store).name == "tiny", "a pull repairs what lacks files"


def test_a_folder_that_is_no_model_is_not_listed(store):
    (store.models_dir / "notes").mkdir(parents=True)
    assert store.list() == ()
    with pytest.raises(DamagedModelError):
        store.find("notes")


@pytest.mark.parametrize("name", ["tiny", "other", "", ".", "..", ".locks", "../models", "a/b"])
def test_what_is_not_installed_says_how_to_get_it(store, name):
    for ask in (store.find, store.verify, store.remove):
        cure = (
            "crosslight model pull tiny"
            if name == "tiny"
            else r"known here: tiny \(`crosslight model list`\)"
        )
        with pytest.raises(NotInstalledError, match=cure):
            ask(name)


def test_remove_frees_the_disk_of_model_and_download(hub, store):
    serve_hub(hub)
    size = pull(store, keep_weights=True).size_bytes
    assert store.remove("tiny") == size + len(CONTENT)
    assert files_in(store.models_dir) == []
    with pytest.raises(NotInstalledError):
        store.remove("tiny")


def test_remove_clears_an_interrupted_download(hub, store):
    serve_hub(hub)

    def interrupt(progress):
        if progress.done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(store, on_progress=interrupt)
    assert store.remove("tiny") > 0
    assert files_in(store.models_dir) == []
