"""The recipe: whatever is wrong with it, the key, the value, the line and what would be right are told."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.recipe import Recipe, RecipeError, load, parse

GOOD = """\
# a comment, so that no line number is right by chance
name: x
seed: 5
sources:
  pics:
    type: image_text
    path: a.parquet
    columns:
      text: caption
  docs:
    type: documents
    path: [a.jsonl, b.jsonl]

  lines:
    type: bitext
    left: a.de
    right: a.en
    languages: [de, en]
pairs:
  image_alt: {}
  sentences: {}
  translations: {}
  word_drop: {rate: 0.2}
render:
  width: 224
shards:
  samples: 100
  per_kind:
    image_alt: 50
mix:
  image_alt: 1
  sentences: 0.5
gate:
  max_error_rate: 0.1
  min_samples:
    image_alt: 5
  min_kept: {image_alt: 0.5}
train:
  argv: ["{python}", -m, trainer, "--out={out}"]
  env: {A: b}
  resources:
    cpus: 1
runtime:
  workers: 2
  ray:
    address: local
"""


def faults(text: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        parse(text, name="r.yaml")
    return str(caught.value).splitlines()


def line_of(text: str, part: str) -> int:
    found = [number for number, line in enumerate(text.splitlines(), start=1) if part in line]
    assert len(found) == 1, f"{part!r} stands on lines {found}"
    return found[0]


def test_a_good_recipe_is_read() -> None:
    recipe = parse(GOOD)
    assert recipe.pairs.wanted() == ["image_alt", "sentences", "translations", "word_drop"]
    assert recipe.mix == {"image_alt": 1.0, "sentences": 0.5}
    assert recipe.sources["docs"].path == ["a.jsonl", "b.jsonl"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("after", "insert", "key", "hint"),
    [
        ("seed: 5", "sede: 1", "sede", "seed"),
        ("seed: 5", "zzz: 1", "zzz", None),
        ("    type: image_text", "    pathh: x", "sources.pics.pathh", "path"),
        ("    type: documents", "    columsn: {}", "sources.docs.columsn", "columns"),
        ("    type: bitext", "    langauges: [a, b]", "sources.lines.langauges", "languages"),
        ("      text: caption", "      imgae: x", "sources.pics.columns.imgae", "image"),
        ("  image_alt: {}", "  sentencse: {}", "pairs.sentencse", "sentences"),
        ("  width: 224", "  heigth: 5", "render.heigth", "height"),
        ("  samples: 100", "  sample: 5", "shards.sample", "samples"),
        ("  max_error_rate: 0.1", "  max_eror_rate: 0.1", "gate.max_eror_rate", "max_error_rate"),
        ("  env: {A: b}", "  timeout_second: 5", "train.timeout_second", "timeout_seconds"),
        ("    cpus: 1", "    gpu: 1", "train.resources.gpu", "gpus"),
        ("  workers: 2", "  worker: 1", "runtime.worker", "workers"),
        ("    address: local", "    adress: x", "runtime.ray.adress", "address"),
    ],
)
def test_an_unknown_key_is_named_with_its_line_and_the_nearest(
    after: str, insert: str, key: str, hint: str | None
) -> None:
    text = GOOD.replace(after + "\n", f"{after}\n{insert}\n", 1)
    (fault,) = faults(text)
    number = text.splitlines().index(insert) + 1
    assert fault.startswith(f"r.yaml, line {number}: {key}: unknown key; ")
    assert fault.endswith(f"did you mean {hint}?") if hint else "known keys: card, gate, holdout, mix" in fault


@pytest.mark.parametrize(
    ("old", "new", "line_part", "says"),
    [
        ("seed: 5", "seed: five", "seed:", "seed = 'five': Input should be a valid integer"),
        ("seed: 5", "seed: '5'", "seed:", "seed = '5': Input should be a valid integer"),
        ("seed: 5", "seed: yes", "seed:", "seed = true: Input should be a valid integer"),
        ("seed: 5", "seed: 1.5", "seed:", "seed = 1.5: "),
        ("seed: 5", "seed: -1", "seed:", "seed = -1: Input should be greater than or equal to 0"),
        ("seed: 5", "seed: null", "seed:", "seed = null: Input should be a valid integer"),
        ("seed: 5", "seed: [5]", "seed:", "seed = [5]: Input should be a valid integer"),
        ("seed: 5", "seed: 9223372036854775808", "seed:", "less than 9223372036854775808"),
        ("seed: 5", "seed: " + "9" * 5000, "seed:", "is not a number that can be used"),
        ("seed: 5", "seed: !!int 5x", "seed:", "is not a number that can be used"),
        ("name: x", "name: 5", "name:", "name = 5: Input should be a valid string"),
        ("name: x", "name: 2024-01-02", "name:", "name = '2024-01-02': lower-case letters, digits and _ are wanted"),
        ("name: x", "name: Big", "name:", "name = 'Big': lower-case letters"),
        ("name: x", "name: ../x", "name:", "name = '../x': lower-case letters"),
        ("  pics:", "  Pics:", "  Pics:", "sources.Pics = 'Pics': lower-case letters"),
        ("type: image_text", "type: image_txt", "image_txt", "did you mean image_text?"),
        ("type: image_text", "type: 5", "type: 5", "sources.pics.type = '5': a source is of type image_text, documents"),
        ("    path: a.parquet", "    path: {a: b}", "{a: b}", "sources.pics.path = {'a': 'b'}: Input should be a valid string"),
        ("    path: a.parquet", "    path: 5", "path: 5", "valid string, or: Input should be a valid array"),
        ("path: [a.jsonl, b.jsonl]", "path: [a.jsonl, 7]", "a.jsonl", "sources.docs.path.1 = 7: Input should be a valid string"),
        ("languages: [de, en]", "languages: [no, en]", "languages", "languages.0 = false: Input should be a valid string (YAML"),
        ("languages: [de, en]", "languages: [de, de]", "languages", "the two languages of a bitext must differ"),
        ("languages: [de, en]", "languages: [de]", "languages", "sources.lines.languages: languages are two: of left and right"),
        ("languages: [de, en]", "languages: []", "languages", "sources.lines.languages: languages are two: of left and right"),
        ("languages: [de, en]", "languages: [de, en, fr]", "languages", "sources.lines.languages: languages are two"),
        ("languages: [de, en]", "languages: de", "languages", "sources.lines.languages: languages are two: of left and right"),
        ("languages: [de, en]", "languages: [german, en]", "languages", "languages.0 = 'german': is no language tag (BCP 47)"),
        ("  width: 224", "  width: 0", "width", "render.width = 0: must be from 1 to"),
        ("  width: 224", "  width: -224", "width", "render.width = -224: must be from 1 to"),
        ("  samples: 100", "  samples: 0", "  samples:", "shards.samples = 0: Input should be greater than or equal to 1"),
        ("shards:\n", "holdout:\n  share: 0.7\nshards:\n", "  share: 0.7", "holdout.share = 0.7: "),
        (
            "shards:\n", "holdout:\n  per_kind:\n    word_drop: {share: 0.1}\nshards:\n", "word_drop: {share: 0.1}",
            "holdout.per_kind.word_drop",
        ),
        ("    image_alt: 50", "    image_alt: no", "    image_alt: no", "shards.per_kind.image_alt = false: "),
        ("  image_alt: 1", "  image_alts: 1", "image_alts", "did you mean image_alt?"),
        ("  image_alt: 1", "  image_alt: 0", "  image_alt: 0", "mix.image_alt = 0: Input should be greater than 0"),
        ("  image_alt: 1", "  image_alt: .inf", ".inf", "'.inf' is not a number that can be used"),
        ("  image_alt: 1", "  image_alt: .NaN", ".NaN", "'.NaN' is not a number that can be used"),
        ("  image_alt: 1", "  back_translation: 1", "back_tr", "mix.back_translation = 1: that kind is not made"),
        ("  max_error_rate: 0.1", "  max_error_rate: 10", "max_error", "less than or equal to 1"),
        ("    image_alt: 5\n", "    image_alt: -5\n", "    image_alt: -5", "greater than or equal to 0"),
        ("    image_alt: 5\n", "    image_atl: 5\n", "image_atl", "did you mean image_alt?"),
        ("    image_alt: 5\n", "    back_translation: 5\n", "back_tr", "that kind is not made"),
        ("{image_alt: 0.5}", "{image_alt: 50}", "min_kept", "gate.min_kept.image_alt = 50: Input should be less than"),
        ("word_drop: {rate: 0.2}", "word_drop: {rate: 1}", "rate: 1}", "pairs.word_drop.rate = 1: Input should be less than 1"),
        ("word_drop: {rate: 0.2}", "word_drop: yes", "word_drop", "pairs.word_drop = true: "),
        ("  sentences: {}\n", "", "  docs:", "sources.docs: would be read for nothing: add pairs.sentences"),
        ("  translations: {}\n", "", "  lines:", "sources.lines: would be read for nothing: add pairs.translations"),
        ("--out={out}", "--out={outt}", "argv", "no field {outt}; there are dataset, manifest_sha256, mix, out, python, s"),
        ("  env: {A: b}", "  env: {A: 5}", "env", "train.env.A = 5: Input should be a valid string"),
        ("  env: {A: b}", "  backend: kube", "kube", "train.backend = 'kube': Input should be 'local', 'ray_job', "),
        ("  workers: 2", "  workers: 0", "workers", "runtime.workers = 0: Input should be greater than or equal to 1"),
        ("render:\n  width: 224", "render: 5", "render", "render = 5: "),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_key_line_and_remedy(old: str, new: str, line_part: str, says: str) -> None:
    assert GOOD.count(old) == 1 or "\n" in old, old
    text = GOOD.replace(old, new, 1)
    found = faults(text)
    number = line_of(text, line_part)
    assert any(fault.startswith(f"r.yaml, line {number}: ") and says in fault for fault in found), found


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("columns: {text: -1}", "columns.text = -1: a column's name is wanted, or in csv and tsv its position, from 0"),
        ("columns: {text: []}", "columns.text = []: a column's name is wanted"),
        ("columns: {text: [a, true]}", "columns.text = ['a', True]: a column's name is wanted"),
        ("columns: {url: {de: a}}", "a column's name is wanted"),
        ("columns: {text: {german_language: a}}", "'german_language' is no language (BCP 47)"),
        ("columns: {alt: a}", "sources.pics.columns.alt: unknown key"),
        ("names: [url, Url]", "a name stands twice"),
        ("header: maybe", "header = 'maybe': Input should be a valid boolean, or: Input should be 'auto'"),
        ("quoting: tsv", "did you mean csv?"),
        ("columns: {text: {de: [a, b], pt-BR: 3}}", None),
        ("columns: {text: [alt, 2], url: 1, width: w.x, similarity: clip}", None),
        ("header: false", None),
    ],
)
def test_columns_of_a_table_and_how_it_is_written(line: str, says: str | None) -> None:
    text = (
        f"name: x\nsources:\n  pics:\n    type: image_text\n    path: a.tsv\n    {line}\npairs: {{image_alt: {{}}}}\n"
    )
    if says is None:
        recipe = parse(text)
        assert type(recipe).model_validate_json(recipe.model_dump_json()) == recipe
    else:
        (fault,) = faults(text)
        assert fault.startswith("r.yaml, line 6: ")
        assert says in fault


def test_a_kind_without_its_source_is_told_at_the_kind() -> None:
    begin, end = GOOD.index("  lines:"), GOOD.index("pairs:")
    text = GOOD[:begin] + GOOD[end:]
    assert faults(text) == [
        f"r.yaml, line {line_of(text, '  translations:')}: pairs.translations: needs a source of type bitext; there is none"
    ]


def test_several_faults_are_told_at_once_in_the_order_of_their_lines() -> None:
    text = (
        GOOD.replace("seed: 5", "seed: x").replace("  width: 224", "  widht: 224").replace("path: a.parquet", "pth: 5")
    )
    found = faults(text)
    lines = [int(fault.split("line ")[1].split(":")[0]) for fault in found]
    assert lines == sorted(lines)
    for part in ("seed = 'x'", "render.widht: unknown key; did you mean width?", "sources.pics.pth: unknown key"):
        assert any(part in fault for fault in found), part
    assert any("sources.pics.path: is missing (file, glob" in fault for fault in found)


def test_very_many_faults_do_not_flood() -> None:
    found = faults(GOOD + "\n".join(f"unknown{number}: 1" for number in range(500)))
    assert len(found) < 30
    assert found[-1].endswith("faults more")


def test_a_missing_type_is_told_where_it_should_be() -> None:
    text = GOOD.replace("    type: documents\n", "")
    number = line_of(text, "  docs:")
    assert faults(text) == [
        f"r.yaml, line {number}: sources.docs.type: is missing; it is one of image_text, documents, bitext"
    ]


@pytest.mark.parametrize("name", ["documents", "bitext", "image_text"])
def test_a_source_may_be_called_like_a_type(name: str) -> None:
    text = GOOD.replace("  docs:", f"  {name}:")
    assert name in parse(text).sources
    broken = text.replace("path: [a.jsonl, b.jsonl]", "path: [a.jsonl, 5]")
    assert faults(broken) == [
        f"r.yaml, line {line_of(text, 'a.jsonl')}: sources.{name}.path.1 = 5: Input should be a valid string"
    ]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "the file is empty"),
        ("# only a comment\n", 1, "the file is empty"),
        ("null\n", 1, "the file is empty"),
        ("- a\n- b\n", 1, "a mapping is wanted with the keys name, seed"),
        ("just text\n", 1, "a mapping is wanted"),
        ("name: x\n\tseed: 1\n", 2, "not YAML"),
        ("name: [a\nseed: 1\n", 2, "not YAML"),
        ("name: x\nseed: 'open\n", 3, "not YAML"),
        ("name: x\nseed: *nowhere\n", 2, "undefined alias"),
        ("name: x\n---\nname: y\n", 2, "another document"),
        ("name: x\nseed: 1\nname: y\n", 3, "'name' stands twice in one mapping, first on line 1"),
        ("name: x\nsources:\n  a: {type: documents, path: a, path: b}\n", 3, "'path' stands twice"),
        ("name: x\nyes: 1\n", 2, "does not read 'yes' as text: quote it"),
        ("name: x\n5: 1\n", 2, "does not read '5' as text: quote it"),
        ("name: x\n? [a, b]\n: 1\n", 2, "a key must be text"),
        ("name: x\nseed: !!python/object:os.system x\n", 2, "tags other than YAML's plain types are not read"),
        ("name: x\nseed: !!python/object/apply:os.system [ls]\n", 2, "tags other than"),
        ("name: x\nseed: !!binary aGk=\n", 2, "tags other than"),
        ("name: x\nseed: !!set {a}\n", 2, "tags other than"),
        ("name: x\nseed: !custom 5\n", 2, "tags other than"),
        ("base: &b {seed: 1}\n<<: *b\n", 2, "merge keys (<<) are not read"),
        ("name: &a [*a]\n", 1, "holds itself"),
        ("name: x\nseed: \x07\n", 2, "not YAML"),
    ],
)
def test_what_is_no_recipe_is_told_with_its_line(text: str, line: int, says: str) -> None:
    (fault,) = faults(text)
    assert fault.startswith(f"r.yaml, line {line}: ")
    assert says in fault


def test_aliases_that_repeat_without_end_are_refused_at_once() -> None:
    """Ten aliases of ten aliases, and so on: 10^12 values of 300 bytes of text."""
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    text += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
    began = time.process_time()
    (fault,) = faults(text + GOOD)
    assert "not a recipe" in fault
    assert time.process_time() - began < 20, "the aliases were written out"


def test_an_alias_may_be_used_as_people_do() -> None:
    text = GOOD.replace("  image_alt: {}", "  image_alt: &all {}").replace("  sentences: {}", "  sentences: *all")
    assert parse(text) == parse(GOOD)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "{a: " * 100_000, "- " * 50_000, "a:\n" + "".join(" " * n + "a:\n" for n in range(1, 500))]
)
def test_nesting_without_end_is_an_error(text: str) -> None:
    assert faults(text)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (GOOD.encode("utf-16"), "line 1: not UTF-8"),
        (b"name: x\ncard:\n  title: Gr\xf6\xdfe\n", "line 3: not UTF-8"),
        (b"name: x\n" + b"#" * 2_000_000, "not a recipe"),
    ],
)
def test_a_file_that_is_not_text(tmp_path: Path, data: bytes, says: str) -> None:
    file = tmp_path / "r.yaml"
    file.write_bytes(data)
    with pytest.raises(RecipeError) as caught:
        load(file)
    assert says in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(RecipeError) as caught:
            load(path)
        assert str(path) in str(caught.value)


def test_a_byte_order_mark_and_windows_lines_are_no_fault(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load(file).recipe == parse(GOOD)


def test_relative_paths_start_at_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(GOOD)
    loaded = load(tmp_path / "r.yaml")
    assert loaded.locate("a.parquet") == str(tmp_path / "a.parquet")
    assert loaded.locate("/a.parquet") == "/a.parquet"
    assert loaded.locate("s3://bucket/a") == "s3://bucket/a"


def test_hostile_characters_do_not_reach_the_terminal() -> None:
    found = "\n".join(faults('name: "a\\eb"\n"k\\e[2Jey": 1\nsources: {}\npairs: {}\n'))
    assert "\x1b" not in found


def test_where_it_runs_is_no_part_of_what_it_makes() -> None:
    other = GOOD.replace("  workers: 2", "  workers: 7")
    assert other != GOOD
    assert parse(other).digest == parse(GOOD).digest
    assert parse(GOOD.replace("seed: 5", "seed: 6")).digest != parse(GOOD).digest


KEYS = st.sampled_from([*Recipe.model_fields, "type", "path", "image_alt", "width"]) | st.text(max_size=5)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
TREE: Any = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


@settings(max_examples=200, deadline=None)
@given(TREE, st.sampled_from(["", *Recipe.model_fields]))
def test_any_yaml_is_a_recipe_or_a_clear_error(tree: Any, place: str) -> None:
    """Each line of the message has the recipe's name and a line that is in the file."""
    whole = yaml.safe_load(GOOD)
    if place:
        whole[place] = tree
    else:
        whole = tree
    text = yaml.safe_dump(whole, allow_unicode=True)
    try:
        parse(text, name="r.yaml")
    except RecipeError as error:
        for fault in str(error).splitlines():
            head = fault.split(": ", 1)[0]
            assert head.startswith("r.yaml, line ")
            assert 1 <= int(head.removeprefix("r.yaml, line ")) <= text.count("\n") + 1
