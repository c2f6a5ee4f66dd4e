"""The trainer's spec: its words, what it refuses, and what names a job."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.train.spec import FIELDS, TrainerSpec, fill

DIGEST = "a" * 64


@pytest.mark.parametrize("word", ["{outt}", "--x={Out}", "{dataset}{nope}", "{ünï}", '{"a": 1}{nope}'])
def test_an_unknown_field_is_refused_with_those_there_are(word: str) -> None:
    with pytest.raises(ValueError, match=r"no field \{.*\}; there are dataset, manifest_sha256, mix, out, python, s"):
        fill([word], dict.fromkeys(FIELDS, ""))
    with pytest.raises(ValueError, match="no field"):
        TrainerSpec(argv=["train", word])


@pytest.mark.parametrize("word", ["{", "}", "{}", "{ out }", '{"lr": 0.1}', "{1}", "${", "a{-}b"])
def test_braces_that_name_nothing_are_text(word: str) -> None:
    assert fill([word], {"out": "/o"}) == [word]


def test_fields_are_filled_once() -> None:
    assert fill(["{out}/{mix}{out}"], {"out": "{mix}", "mix": "a=1"}) == ["{mix}/a=1{mix}"]


@given(st.text(), st.text())
def test_what_a_field_holds_is_never_read_again(before: str, value: str) -> None:
    assert fill(["<{out}>", before.replace("{", "")], {"out": value}) == [f"<{value}>", before.replace("{", "")]


# --- what is refused ---------------------------------------------------------------------------------------------------------

IMAGE = "registry.example/pixelpairs/trainer:0.1.0"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"env": {"A B": "x"}}, "env"),
        ({"env": {"A=B": "x"}}, "env"),
        ({"env": {"": "x"}}, "env"),
        ({"env": {"A\n": "x"}}, "env"),
        ({"env": {"A": "x\0"}}, "NUL"),
        ({"env": {"HF_TOKEN": "x"}}, "secret_env"),
        ({"env": {"aws_secret_access_key": "x"}}, "secret_env"),
        ({"env": {"A": "x"}, "secret_env": {"A": "B"}}, "stands in env and in secret_env"),
        ({"secret_env": {"A": "b/c"}}, "the name of a variable"),
        ({"argv": ["a\0"]}, "NUL"),
        ({"argv": []}, "at least 1"),
        ({"image": IMAGE}, "of use to kuberay alone"),
        ({"backend": "kuberay"}, "needs an image"),
        ({"backend": "kuberay", "image": "a/b:latest"}, "other than latest"),
        ({"backend": "kuberay", "image": "a/b"}, "other than latest"),
        ({"backend": "kuberay", "image": "-x:1"}, "no image reference"),
        ({"backend": "kuberay", "image": "a/b:1\n"}, "no image reference"),
        ({"backend": "kuberay", "image": IMAGE, "secret_env": {"A": "B"}}, "secret/key"),
        ({"backend": "kuberay", "image": IMAGE, "kuberay": {"namespace": "A"}}, "namespace"),
        ({"backend": "kuberay", "image": IMAGE, "kuberay": {"run_as_user": 0}}, "run_as_user"),
        ({"backend": "ray_job", "secret_env": {"A": "B"}}, "shown by its dashboard"),
        ({"backend": "ray_job", "ray_job": {"address": "http://user:password@host:1"}}, "address"),
        ({"backend": "ray_job", "slurm": {}}, "slurm is set, but the backend is ray_job"),
        ({"resources": {"nodes": 2}}, "only slurm"),
        ({"backend": "slurm", "slurm": {"partition": "a b"}}, "partition"),
        ({"backend": "slurm", "slurm": {"partition": "a\n#SBATCH --uid=0"}}, "partition"),
        ({"backend": "slurm", "slurm": {"options": ["--export=ALL"]}}, "set by the launcher"),
        ({"backend": "slurm", "slurm": {"options": ["-p x"]}}, "no --name=value option"),
        ({"backend": "slurm", "slurm": {"folder": "relative"}}, "folder"),
        ({"mix": {"image_alt": 0}}, "greater than 0"),
        ({"steps": 0}, "steps"),
        ({"resume": {"checkpoint": "../x", "argv": ["a"]}}, "below {out}"),
        ({"resume": {"checkpoint": "x", "argv": ["{nope}"]}}, "no field {nope}"),
        ({"timeout_seconds": float("inf")}, "finite"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("{", r"\{")):
        TrainerSpec.model_validate({"argv": ["train"], **fields})


@pytest.mark.parametrize(
    "image", [IMAGE, "a:1", "host:5000/a/b:v1.2-x", "a/b@sha256:" + "0" * 64, "a/b:latest@sha256:" + "0" * 64]
)
def test_images_that_can_be_repeated(image: str) -> None:
    assert TrainerSpec(argv=["x"], backend="kuberay", image=image).image == image


@pytest.mark.parametrize("name", ["TOKENIZERS_PARALLELISM", "NCCL_DEBUG", "MAX_TOKENS", "SECRETARY", "KEYS"])
def test_names_that_only_sound_like_secrets(name: str) -> None:
    TrainerSpec(argv=["x"], env={name: "1"})


# --- the job's id ------------------------------------------------------------------------------------------------------------


def test_what_is_trained_names_the_job() -> None:
    base = {"argv": ["train", "{steps}"], "env": {"A": "1"}}
    plain = TrainerSpec.model_validate(base).job_id(DIGEST)
    assert len(plain) == 16
    assert TrainerSpec.model_validate(base).job_id(DIGEST) == plain
    same = [{"timeout_seconds": 5}, {"resources": {"cpus": 8, "memory_gib": 2}}, {"start_timeout_seconds": 1}]
    same += [{"resume": {"checkpoint": "x", "argv": ["y"]}}, {"secret_env": {"B": "C"}}]
    assert {TrainerSpec.model_validate({**base, **more}).job_id(DIGEST) for more in same} == {plain}
    other = [{"argv": ["train"]}, {"env": {"A": "2"}}, {"mix": {"image_alt": 1}}, {"steps": 7}, {"base_steps": 7}]
    other += [{"resources": {"processes": 2}}, {"backend": "slurm"}]
    ids = {TrainerSpec.model_validate({**base, **more}).job_id(DIGEST) for more in other}
    assert len(ids | {plain, TrainerSpec.model_validate(base).job_id("b" * 64)}) == len(other) + 2
