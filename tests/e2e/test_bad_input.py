"""What a new user does wrong, or has lying around: a clear line, the right exit code, and nothing broken."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from command import SHOP, Command, default_model, write_repository

from lsp_server.config import Settings

MODEL = Settings().model.name


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a little of everything, which no test changes."""
    return write_repository(
        tmp_path_factory.mktemp("bad"),
        SHOP | {"binary.py": b"\x7fELF\0\0\0" * 100, "empty.py": b"", "with:colon.py": b"x = 1\n"},
    )


WRONG_USES = {
    "no such file": ("complete nowhere.py:1:1", 1, "nowhere.py does not exist"),
    "a line beyond the end": (
        "complete app.py:99",
        1,
        r"app.py:99: the file has 7 lines; name one of 1 to 7",
    ),
    "line 0": ("complete app.py:0", 1, "name one of 1 to 7"),
    "a column beyond the end": ("complete app.py:6:99", 1, "16 characters; name one of 1 to 17"),
    "column 0": ("complete app.py:6:0", 1, "name one of 1 to 17"),
    "no line": ("complete app.py", 1, "write FILE:LINE:COL"),
    "a huge number": ("complete app.py:99999999999999999999:1", 1, "name one of 1 to 7"),
    "a line in an empty file": ("complete empty.py:2", 1, "name one of 1 to 1"),
    "a binary": ("complete binary.py:1", 1, "binary"),
    "a folder": ("complete .:1", 1, "is a folder"),
    "a root that is not there": ("complete app.py:6 --root nowhere", 1, "nowhere is not a folder"),
    "a folder to index that is not there": ("index nowhere", 1, "nowhere does not exist"),
    "a file to index": ("index app.py", 1, "app.py is a file, not a folder"),
    "a search where nothing is indexed": ("search add --root .", 1, "crosslight index"),
    "an index to clear that is not there": ("cache clear .", 1, "has no index"),
    "an unknown model": ("model pull nonsense", 1, MODEL),
    "a model file that is not there": ("model pull ./nonsense.gguf", 1, "no file or folder"),
    "a model folder that holds none": ("model pull .", 1, "safetensors|gguf"),
    "a file that is no model": ("model pull ./app.py", 1, "neither a .gguf file nor a folder"),
    "a model to remove that is not there": ("model remove nonsense", 1, "not installed"),
    "a model to verify that is not there": ("model verify nonsense", 1, "not installed"),
    "an adapter that is not there": (f"model pull {MODEL} --adapter nowhere --force", 1, "nowhere"),
    "two options that exclude each other": ("model pull --adapter app.py --no-adapter", 1, "exclude"),
    "an unknown command": ("frobnicate", 2, "No such command 'frobnicate'"),
    "an unknown command of a group": ("model frobnicate", 2, "No such command 'frobnicate'"),
    "an unknown option": ("index --frobnicate", 2, "No such option"),
    "no argument": ("complete", 2, "Missing argument"),
    "a number that is none": ("search add -n many", 2, "Invalid value for '-n'"),
    "a number out of range": ("search add -n 0", 2, "Invalid value for '-n'"),
}


@pytest.mark.parametrize("case", WRONG_USES)
def test_a_wrong_use_is_one_clear_line_and_an_exit_code(homes_only: Command, place: Path, case: str) -> None:
    line, code, message = WRONG_USES[case]
    if code == 1:
        shown = homes_only.complaint(*line.split(), cwd=place)
    else:
        result = homes_only(*line.split(), cwd=place)
        assert result.returncode == code, result
        shown = result.stderr
    assert re.search(message, shown), shown


@pytest.fixture(scope="module")
def homes_only(homes) -> Command:
    """The command in a home without a model, which the table shares."""
    return homes.new()


TEXTS = {
    "an empty file": ("empty.py", b"", 1),
    "Latin-1": ("latin.py", "# prix du café\ndef prix_du_café(nombre):\n    return ".encode("latin-1"), 3),
    "UTF-16": ("wide.py", "def add(a, b):\n    return ".encode("utf-16"), 2),
    "no line end at the end": ("open.py", b"def add(a, b):\n    return", 2),
    "bytes that are no text": ("odd.py", b"# \xff\xfe\x80\ndef add(a, b):\n    return ", 3),
    "a language without a grammar": ("add.zig", b"fn add(a: i32, b: i32) i32 {\n    return ", 2),
    "a name with a colon": ("a:b.py", b"def add(a, b):\n    return ", 2),
    "broken code": ("broken.py", b"def (((( class ]]]\n  x = \n", 2),
}


@pytest.mark.parametrize("case", TEXTS)
def test_any_text_gets_an_answer(crosslight: Command, tmp_path: Path, case: str) -> None:
    name, content, line = TEXTS[case]
    (tmp_path / name).write_bytes(content)
    trace = json.loads(crosslight.ok("complete", f"{tmp_path / name}:{line}", "--json", "--no-retrieval"))
    assert trace["text"] or trace["suppression_reason"] or trace["n_generated_tokens"] == 0, trace
    assert (tmp_path / name).read_bytes() == content


def test_a_completion_has_the_line_ends_of_the_file(crosslight: Command, tmp_path: Path) -> None:
    source = tmp_path / "dos.py"
    source.write_bytes(
        b"def add(a, b):\r\n    total = a + b\r\n    return total\r\n\r\n\r\ndef subtract(a, b):\r\n    "
    )
    trace = json.loads(crosslight.ok("complete", f"{source}:7", "--json", "--no-retrieval", "--multi-line"))
    assert trace["text"], trace
    assert not re.search(r"(?<!\r)\n|\r(?!\n)", trace["text"]), trace


def test_indentation_by_tabs_stays_tabs(crosslight: Command, tmp_path: Path) -> None:
    source = tmp_path / "tabs.py"
    source.write_text(
        "def add(a, b):\n\tif a is None:\n\t\treturn b\n\treturn a + b\n\n\n"
        "def largest(values):\n\tbest = None\n\tfor value in values:\n\t\t"
    )
    trace = json.loads(crosslight.ok("complete", f"{source}:10", "--json", "--no-retrieval", "--multi-line"))
    assert trace["text"], trace
    assert not re.search(r"^\t* ", trace["text"], re.MULTILINE), trace


def test_a_file_of_50_mb_is_completed_and_not_indexed(with_model: Command, tmp_path: Path) -> None:
    block = "def function_{0}(value):\n    return value + {0}\n\n\n"
    source = "".join(block.format(i) for i in range(1_000)) * 1_000
    root = write_repository(
        tmp_path / "big", {"big.py": source[:50_000_000], "small.py": "def add(a, b): ...\n"}
    )
    summary = json.loads(with_model.ok("index", root, "--json"))
    assert summary["left_out"] == {"too large": 1}, summary
    assert summary["n_files"] == 1, summary
    trace = json.loads(with_model.ok("complete", f"{root}/big.py:2:12", "--json"))
    assert trace["n_generated_tokens"], trace


def test_a_file_beyond_the_limit_is_refused(without_model: Command, tmp_path: Path) -> None:
    with (tmp_path / "huge.py").open("wb") as file:
        file.truncate(100_000_000)  # a hole: it takes no room
    assert "100 MB; the limit is" in without_model.complaint("complete", f"{tmp_path}/huge.py:1")


EMPTY_REPOSITORIES = {
    "an empty folder": {},
    "only pictures": {"logo.png": b"\x89PNG\r\n\x1a\n\0\0", "data.bin": bytes(100)},
    "only empty files": {"a.py": b"", "b/c.go": b""},
}


@pytest.mark.parametrize("case", EMPTY_REPOSITORIES)
def test_a_repository_without_code_is_indexed_in_peace(
    homes_only: Command, tmp_path: Path, case: str
) -> None:
    root = tmp_path / "none"
    root.mkdir()
    for name, content in EMPTY_REPOSITORIES[case].items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(content)
    out = homes_only.ok("index", root)
    assert "0 definitions" in out, out
    result = homes_only("search", "add", "--root", root)
    assert (result.returncode, result.stdout) == (0, ""), result
    assert "nothing in" in result.stderr, result


def test_a_file_outside_of_any_repository_is_completed_from_itself(
    crosslight: Command, tmp_path: Path
) -> None:
    (tmp_path / "alone.py").write_text("def add(a, b):\n    return ")
    result = crosslight("complete", f"{tmp_path}/alone.py:2")
    assert result.returncode == 0, result
    assert "completed from the file alone" in result.stderr, result


def test_without_a_model_each_command_names_the_cure(without_model: Command, repository: Path) -> None:
    cure = f"crosslight model pull {MODEL}"
    assert cure in without_model.complaint("complete", f"{repository}/app.py:6", "--no-retrieval")
    assert cure in without_model.complaint("model", "verify")
    out = without_model.ok("index", repository)
    assert "no vectors: no model is installed" in out, out
    assert "add_line" in without_model.ok("search", "add a line", "--root", repository)
    doctor = without_model("doctor", cwd=repository)
    assert doctor.returncode == 1, doctor
    assert f"cure: {cure}" in doctor.stdout, doctor
    assert "error    model: " in doctor.stdout, doctor
    assert "to be pulled" in without_model.ok("model", "list")


def test_complete_without_a_model_says_so_before_it_indexes(without_model: Command, repository: Path) -> None:
    result = without_model("complete", f"{repository}/app.py:6")
    assert result.returncode == 1, result
    assert result.stderr.startswith("crosslight: the model"), result


def damage(file: Path, how: str) -> None:
    """Make a file of one's own of a linked one, and damage it."""
    content = file.read_bytes()[: 1 << 20]
    file.unlink()
    match how:
        case "is cut short":
            file.write_bytes(content[: len(content) // 2])
        case "holds other bytes":
            file.write_bytes(b"{" + bytes(len(content)))
        case "is empty":
            file.write_bytes(b"")


@pytest.fixture
def with_own_model(without_model: Command) -> Command:
    """The command with a model whose files can be replaced one by one."""
    folder = without_model.models / MODEL
    folder.mkdir(parents=True)
    for file in default_model().iterdir():
        (folder / file.name).symlink_to(file)
    return without_model


@pytest.mark.parametrize("how", ["is missing", "is cut short", "holds other bytes", "is empty"])
@pytest.mark.parametrize("name", ["manifest.json", "decoder.onnx", "decoder.data", "tokenizer.json"])
def test_a_damaged_model_is_told_with_its_cure(
    with_own_model: Command, repository: Path, name: str, how: str
) -> None:
    damage(with_own_model.models / MODEL / name, how)
    line = with_own_model.complaint("complete", f"{repository}/app.py:6", "--no-retrieval")
    assert re.search(r"run `crosslight model pull( \S+)? --force`", line), line
    assert name in line or name == "decoder.data", line  # which the engine reads for itself


def test_verify_and_doctor_find_a_single_wrong_byte(with_own_model: Command) -> None:
    file = with_own_model.models / MODEL / "tokenizer.json"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.unlink()
    file.write_bytes(content)
    line = with_own_model.complaint("model", "verify")
    assert "tokenizer.json" in line, line
    assert "--force" in line, line
    doctor = json.loads(with_own_model("doctor", "--json").stdout)
    (found,) = (finding for finding in doctor if finding["subject"] == "model")
    assert found["level"] == "error", found
    assert "tokenizer.json" in found["detail"], found
    assert found["cure"] == f"crosslight model pull {MODEL} --force", found


def test_damaged_vectors_of_a_model_cost_the_vectors_only(with_own_model: Command, repository: Path) -> None:
    damage(with_own_model.models / MODEL / "token_vectors.npy", "is cut short")
    out = with_own_model.ok("index", repository)
    assert "no vectors: the embedder cannot be loaded" in out, out
    assert "add_line" in with_own_model.ok("search", "add_line", "--root", repository)


SETTINGS = {
    "no TOML": ("[model\nname = 3", ["all settings keep their defaults"]),
    "not UTF-8": (b"\xff\xfe", ["all settings keep their defaults"]),
    "unknown keys": ("[model]\nnmae = 'x'\n[modle]\n", ["model.nmae", "modle"]),
    "bad values": (
        "[model]\nthreads = -1\nprovider = 'gpu'\n[retrieval]\ndefinitions = 'six'\n",
        ["model.threads", "model.provider", "retrieval.definitions"],
    ),
    "a value for a table": ("model = 3", ["model"]),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_mistakes_in_the_settings_are_said_and_cost_nothing(
    homes_only: Command, place: Path, case: str
) -> None:
    content, wanted = SETTINGS[case]
    homes_only.config_file.parent.mkdir(parents=True, exist_ok=True)
    homes_only.config_file.write_bytes(content if isinstance(content, bytes) else content.encode())
    try:
        result = homes_only("index", place)
    finally:
        homes_only.config_file.unlink()
    assert result.returncode == 0, result
    problems = [line for line in result.stderr.splitlines() if line.startswith("crosslight: ")]
    assert len(problems) == len(wanted), result
    for problem, key in zip(problems, wanted, strict=True):
        assert str(homes_only.config_file) in problem
        assert key in problem


def test_a_model_that_the_settings_ask_for_and_is_not_there_is_named(
    without_model: Command, place: Path
) -> None:
    without_model.config_file.parent.mkdir(parents=True)
    without_model.config_file.write_text("[model]\nname = 'my-own'\n")
    line = without_model.complaint("complete", "app.py:6", "--no-retrieval", cwd=place)
    assert "'my-own', and no model of that name is installed" in line, line


OUTPUTS = ["--help", "model list", "cache info", "index .", "index . --json", "doctor --json", "--version"]


@pytest.mark.parametrize("line", OUTPUTS)
def test_a_reader_that_goes_away_is_no_error_to_speak_of(homes_only: Command, place: Path, line: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        result = homes_only(*line.split(), cwd=place, stdout=writer)
    finally:
        os.close(writer)
    assert result.returncode == 1, result
    assert "rror" not in result.stderr, result
    assert "ipe" not in result.stderr, result


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_output_that_cannot_be_written_is_one_line(homes_only: Command, place: Path) -> None:
    with Path("/dev/full").open("w") as full:
        line = homes_only.complaint("cache", "info", cwd=place, stdout=full)
    assert "No space left on device" in line, line


@pytest.mark.parametrize("line", [*OUTPUTS, "complete nowhere.py:1", "frobnicate"])
def test_what_is_piped_has_no_colour_codes(homes_only: Command, place: Path, line: str) -> None:
    result = homes_only.with_variables(TERM="xterm-256color")(*line.split(), cwd=place)
    assert "\x1b" not in result.stdout + result.stderr, result


def test_a_completion_that_is_piped_has_no_colour_codes(crosslight: Command, place: Path) -> None:
    out = crosslight.with_variables(TERM="xterm-256color").ok("complete", f"{place}/app.py:6")
    assert "\x1b" not in out, out
    assert "«" in out, out


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
def test_a_repository_that_git_made_is_found_from_a_folder_deep_in_it(
    homes_only: Command, tmp_path: Path
) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / "deep" / "down").mkdir(parents=True)
    (tmp_path / "deep" / "sums.py").write_text("def add_up(values):\n    return sum(values)\n")
    homes_only.ok("index", tmp_path)
    assert "deep/sums.py:1" in homes_only.ok("search", "add_up", cwd=tmp_path / "deep" / "down")
