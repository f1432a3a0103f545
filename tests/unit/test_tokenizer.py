import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_model import CONTROL_NAMES, random_tensors, tiny_vocabulary, write_folder, write_gguf
from transformers import Qwen2TokenizerFast

from model.errors import ConversionError, DamagedModelError
from model.tokenizer import TABLE_FILE, TOKENIZER_FILE, Tokenizer, save_tokenizer
from model.vocabulary import control_tokens, read_vocabulary

VOCAB_SIZE = 320
VOCABULARY = tiny_vocabulary()
CONTROL = control_tokens(VOCABULARY, VOCAB_SIZE)
TOKENIZER = Tokenizer.from_vocabulary(VOCABULARY, CONTROL)
SAMPLES = (
    "",
    "return",
    "def f(x):\n    return x\n",
    "    return  returning\n\n\n",
    "a\r\nb\r\n\r\n\tc\rd",
    "\t\tif x:\t# tab",
    "café 漢字 🙂 naïve — “quotes”",
    "don't WE'LL 12345 3.14 _mean __main__",
    "  \n  \n x  ",
    "\x00\x01\x7f\x85\u2028\ufeff",
    "<|fim_middle|>return<|endoftext|><tool_call>",
)


def hub_tokenizer(folder):
    """Build transformers' own tokenizer of the same vocabulary, without its added tokens."""
    vocab, merges = folder / "vocab.json", folder / "merges.txt"
    vocab.write_text(json.dumps(dict(VOCABULARY.text_tokens) | {"<|endoftext|>": CONTROL.end_of_text}))
    merges.write_text("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in VOCABULARY.merges) + "\n")
    pairs = [tuple(pair) for pair in VOCABULARY.merges]
    return Qwen2TokenizerFast(vocab=json.loads(vocab.read_text()), merges=pairs)


@pytest.mark.parametrize("text", SAMPLES)
def test_decoding_gives_back_the_bytes(text):
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text.encode()


@given(st.text())
def test_any_text_survives(text):
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text.encode("utf-8", "replace")


@pytest.mark.parametrize("name", CONTROL_NAMES)
def test_text_never_becomes_a_control_id(name):
    for text in (name, f"x{name}y", name * 3, f" {name}\n", f"{name[:-2]}|>"):
        ids = TOKENIZER.encode(text)
        assert not set(ids) & set(CONTROL.all_ids)
        assert TOKENIZER.decode(ids) == text.encode()


def test_control_ids_have_no_bytes():
    assert all(TOKENIZER.token_bytes(token_id) == b"" for token_id in CONTROL.all_ids)
    assert TOKENIZER.decode([CONTROL.fim_middle, *TOKENIZER.encode("x"), CONTROL.end_of_text]) == b"x"


def test_every_id_is_either_text_or_control():
    text = {i for i in range(TOKENIZER.vocab_size) if TOKENIZER.token_bytes(i)}
    assert TOKENIZER.vocab_size == VOCAB_SIZE
    assert text | set(CONTROL.all_ids) == set(range(VOCAB_SIZE))
    assert not text & set(CONTROL.all_ids)


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\ud83d return"])
def test_lone_surrogates_become_question_marks(text):
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text.encode("utf-8", "replace")
    assert TOKENIZER.encode_batch([text]) == [TOKENIZER.encode(text)]
    assert TOKENIZER.last_pretoken_start(text) <= len(text)


def test_bytes_stay_as_they_are_where_unicode_has_two_spellings():
    decomposed = "cafe\u0301"
    assert TOKENIZER.decode(TOKENIZER.encode(decomposed)) == decomposed.encode()


def test_a_batch_is_encoded_as_its_texts_are():
    assert TOKENIZER.encode_batch(SAMPLES) == [TOKENIZER.encode(text) for text in SAMPLES]


@pytest.mark.parametrize("text", SAMPLES[:-1])
def test_ids_are_those_of_transformers(tmp_path, text):
    theirs = hub_tokenizer(tmp_path)
    assert TOKENIZER.encode(text) == theirs(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("", 0),
        ("x", 0),
        ("    return", 3),
        ("x = foo.bar(", 11),
        ("é«漢字 = foo", 6),
        ("x\n    ", 2),
        ("  1", 1),
        ("x = 12", 5),
        ("x\r\n\tbar", 3),
        ("a  ", 1),
        ("🙂🙂 b", 2),
    ],
)
def test_last_pretoken_start(text, start):
    assert TOKENIZER.last_pretoken_start(text) == start


@given(st.lists(st.sampled_from([" ", "\n", "\t", "re", "turn", "é", "漢", "(", ".", "1", "x"])).map("".join))
def test_ids_before_the_last_pretoken_begin_the_ids_of_the_whole(text):
    before = TOKENIZER.encode(text[: TOKENIZER.last_pretoken_start(text)])
    assert TOKENIZER.encode(text)[: len(before)] == before


STARTS = (b"", b"r", b"re", b" r", b"  ", b"\xc3", b"\xc3\xa9", b"\xff", b"\xff\xff", b"<|", b"zz", b"\x00")


@pytest.mark.parametrize("start", STARTS)
def test_tokens_with_prefix_are_exactly_those(start):
    found = TOKENIZER.tokens_with_prefix(start).tolist()
    expected = [i for i in range(VOCAB_SIZE) if TOKENIZER.token_bytes(i).startswith(start)]
    assert sorted(found) == [i for i in expected if TOKENIZER.token_bytes(i)]


@pytest.mark.parametrize(
    "text", [b"", b"return x", b"  return", "é".encode(), b"\xff\xff", b"<|fim_middle|>"]
)
def test_tokens_that_are_prefix_of_are_exactly_those(text):
    found = TOKENIZER.tokens_that_are_prefix_of(text).tolist()
    expected = [
        i for i in range(VOCAB_SIZE) if TOKENIZER.token_bytes(i) and text.startswith(TOKENIZER.token_bytes(i))
    ]
    assert found == sorted(expected, key=lambda i: len(TOKENIZER.token_bytes(i)))


def test_what_is_handed_out_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        TOKENIZER.tokens_with_prefix(b"r")[0] = 1


def test_a_saved_tokenizer_is_the_same(tmp_path):
    save_tokenizer(VOCABULARY, tmp_path)
    loaded = Tokenizer.from_file(tmp_path / TOKENIZER_FILE, CONTROL)
    assert loaded.encode_batch(SAMPLES) == TOKENIZER.encode_batch(SAMPLES)
    assert [loaded.token_bytes(i) for i in range(VOCAB_SIZE)] == [
        TOKENIZER.token_bytes(i) for i in range(VOCAB_SIZE)
    ]
    assert np.array_equal(loaded.tokens_with_prefix(b" "), TOKENIZER.tokens_with_prefix(b" "))


@pytest.mark.parametrize("file", [TOKENIZER_FILE, TABLE_FILE])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut short"])
def test_a_damaged_tokenizer_names_the_cure(tmp_path, file, damage):
    save_tokenizer(VOCABULARY, tmp_path)
    path = tmp_path / file
    whole = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(b"" if damage == "empty" else whole[: len(whole) // 2])
    with pytest.raises(DamagedModelError, match="crosslight model pull --force"):
        Tokenizer.from_file(tmp_path / TOKENIZER_FILE, CONTROL)


def test_gguf_and_folder_give_the_same_vocabulary(tmp_path):
    from_gguf = read_vocabulary(write_gguf(tmp_path / "m.gguf", random_tensors()))
    from_folder = read_vocabulary(write_folder(tmp_path / "m", random_tensors()))
    assert from_gguf.text_tokens == from_folder.text_tokens == VOCABULARY.text_tokens
    assert from_gguf.merges == from_folder.merges == VOCABULARY.merges
    assert control_tokens(from_gguf, VOCAB_SIZE) == control_tokens(from_folder, VOCAB_SIZE) == CONTROL


def test_the_older_layout_of_a_folder_is_read(tmp_path):
    hub_tokenizer(tmp_path)
    added = {str(i): {"content": name, "special": True} for name, i in VOCABULARY.control_tokens.items()}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": added}))
    assert read_vocabulary(tmp_path) == VOCABULARY


def change_tokenizer(folder, change):
    path = folder / "tokenizer.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["model"].update(type="Unigram"), "not byte-level BPE"),
        (lambda d: d["model"].update(byte_fallback=True), "not byte-level BPE"),
        (lambda d: d.update(pre_tokenizer=None), "another way than Qwen2"),
        (lambda d: d.pop("model"), "cannot be read"),
        (lambda d: d["model"].update(merges=["a b c"]), "cannot be read"),
    ],
)
def test_another_kind_of_tokenizer_is_refused(tmp_path, change, message):
    folder = write_folder(tmp_path / "m", random_tensors())
    change_tokenizer(folder, change)
    with pytest.raises(ConversionError, match=message):
        read_vocabulary(folder)


def test_a_folder_without_a_tokenizer_says_so(tmp_path):
    folder = write_folder(tmp_path / "m", random_tensors())
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ConversionError, match="has no tokenizer"):
        read_vocabulary(folder)


def test_a_model_without_fill_in_the_middle_is_refused(tmp_path):
    folder = write_folder(tmp_path / "m", random_tensors())
    change_tokenizer(folder, lambda d: d["added_tokens"].pop(5))
    with pytest.raises(ConversionError, match=r"lacks <\|fim_middle\|>"):
        control_tokens(read_vocabulary(folder), VOCAB_SIZE)
    with pytest.raises(ConversionError, match="past the model's 100 rows"):
        control_tokens(VOCABULARY, 100)


def test_a_vocabulary_that_is_no_bpe_is_refused_on_saving(tmp_path):
    broken = type(VOCABULARY)(VOCABULARY.text_tokens, (("漢", "字"),), VOCABULARY.control_tokens)
    with pytest.raises(ConversionError, match="not byte-level BPE"):
        save_tokenizer(broken, tmp_path)
