"""Pulls at once on one models folder, and what dead ones left there."""

import threading

from pulling import ENTRY, INSTALLED, Converter, files_in, pull, serve_hub

from model.store import ModelStore


def test_of_two_pulls_at_once_the_second_waits_and_finds_it_done(hub, store, converter):
    serve_hub(hub)
    converter.may_go_on.clear()
    waited, results = threading.Event(), []

    def on_progress(progress):
        if progress.phase == "wait":
            waited.set()
            converter.may_go_on.set()

    first = threading.Thread(target=lambda: results.append(pull(store)))
    second = threading.Thread(target=lambda: results.append(pull(store, on_progress=on_progress)))
    first.start()
    assert converter.entered.wait(60)
    second.start()
    first.join()
    second.join()
    assert waited.is_set()
    assert results == [store.find("tiny")] * 2
    assert converter.n_runs == 1


def test_what_a_dead_process_left_is_cleared(hub, store):
    for name in ("tiny", "other"):
        left = store.models_dir / ".converting" / name
        left.mkdir(parents=True)
        (left / "decoder.data").write_text("half")
    serve_hub(hub)
    pull(store)
    assert files_in(store.models_dir) == INSTALLED


def test_what_a_living_process_works_on_stays(hub, store, converter, tmp_path):
    serve_hub(hub)
    (tmp_path / "own.gguf").write_text("own")
    converter.may_go_on.clear()
    thread = threading.Thread(target=lambda: pull(store))
    thread.start()
    assert converter.entered.wait(60)
    other = ModelStore(store.models_dir, catalog={"tiny": ENTRY}, convert=Converter())
    pull(other, str(tmp_path / "own.gguf"))
    converter.may_go_on.set()
    thread.join()
    assert [found.name for found in store.list()] == ["own", "tiny"]


def test_a_death_between_the_two_renames_gives_the_former_model_back(hub, store):
    serve_hub(hub)
    folder = pull(store).folder
    aside = store.models_dir / ".replaced" / "tiny"
    aside.parent.mkdir()
    folder.rename(aside)
    hub.pages.clear()
    assert pull(store).name == "tiny"
    assert files_in(store.models_dir) == INSTALLED
