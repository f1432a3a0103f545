import dataclasses

import pytest

from lsp_server.config import CompletionSettings, RetrievalSettings, Settings, load_settings
from model.graph import MAX_POSITIONS
from model.prompt import MOST_SINK_TOKENS, PromptBudget


def test_missing_file_means_all_defaults(tmp_path):
    loaded = load_settings(tmp_path / "config.toml")
    assert loaded.settings == Settings()
    assert loaded.problems == ()


def test_values_are_read(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('[model]\nprovider = "cpu"\nthreads = 4\n[retrieval]\ndefinitions = 0\n')
    settings = load_settings(path).settings
    assert (settings.model.provider, settings.model.threads, settings.retrieval.definitions) == ("cpu", 4, 0)
    assert settings.completion == Settings().completion


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[model\n", "all settings keep their defaults"),
        ("[modle]\nname='x'\n", "unknown setting `modle`"),
        ("[model]\nthread = 2\n", "unknown setting `model.thread`"),
        ("[model]\nthreads = -1\n", "`model.threads` must be at least 0"),
        ("[model]\nthreads = 100000\n", "`model.threads` must be at most 512"),
        ("[retrieval]\ndefinition_tokens = 40_000\n", "`retrieval.definition_tokens` must be at most 1024"),
        ("[model]\nthreads = true\n", "`model.threads` must be a whole number"),
        ("[model]\nthreads = '2'\n", "`model.threads` must be a whole number"),
        ("[model]\nprovider = 'gpu'\n", "`model.provider` must be one of 'auto', 'cpu', 'cuda'"),
        ("model = 3\n", "`model` must be a table"),
        ("\xff", "all settings keep their defaults"),
    ],
)
def test_a_bad_value_is_named_and_keeps_its_default(tmp_path, text, said):
    path = tmp_path / "config.toml"
    path.write_bytes(text.encode("latin-1"))
    loaded = load_settings(path)
    assert loaded.settings == Settings()
    assert len(loaded.problems) == 1
    assert said in loaded.problems[0]
    assert str(path) in loaded.problems[0]


def test_no_settings_ask_for_more_positions_than_models_have():
    most = {
        one.name: one.metadata["at_most"]
        for part in (CompletionSettings, RetrievalSettings)
        for one in dataclasses.fields(part)
        if one.name.endswith("tokens")
    }
    budget = PromptBudget()
    names = 2 * MOST_SINK_TOKENS
    read = 2 * most["prefix_tokens"] + most["suffix_tokens"] + budget.line_tokens + names + 16
    written = max(most["max_line_tokens"], most["max_block_tokens"])
    assert most["definition_tokens"] + read + written < MAX_POSITIONS
