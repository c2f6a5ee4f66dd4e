"""`make check-infra`: what is there passes, and what is broken is refused for the right reason."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.check.__main__ import ROOT, check_file
from infra.check.common import Tools, holds_secret, unpinned
from infra.check.kubernetes import inventory

NAMES = ("hadolint", "check-jsonschema", "kubernetes-validate", "shellcheck")


@pytest.fixture(scope="session")
def tools() -> Tools:
    """The tools in .venv-infra, which `make test` installs, or in INFRA_TOOLS, or on the PATH."""
    for folder in (os.environ.get("INFRA_TOOLS"), str(ROOT / ".venv-infra" / "bin"), os.environ["PATH"]):
        if folder and all(shutil.which(name, path=folder) for name in NAMES):
            return Tools(None if folder == os.environ["PATH"] else Path(folder))
    pytest.skip("the tools of requirements/infra-tools.lock are not installed (make check-infra)")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what is checked, to break."""
    shutil.copytree(
        ROOT / "infra", tmp_path / "infra", ignore=shutil.ignore_patterns("check", "secrets", "__pycache__")
    )
    for name in (".dockerignore", "prefect.yaml", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    for name in ("rendering", "pairs", "pipelines", "flows", "tests"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_what_is_there_passes(tools: Tools) -> None:
    """As `make check-infra` calls it."""
    words = [sys.executable, "-m", "infra.check", *(["--tools", str(tools.folder)] if tools.folder else [])]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "infra: all is well\n"), done.stdout + done.stderr


def test_a_tool_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "infra.check", "--tools", str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "requirements/infra-tools.lock" in done.stderr


DOCKER, COMPOSE, SHELL = "docker/Dockerfile", "compose/compose.yaml", "compose/make-secrets.sh"
CLUSTER, JOB, ACCESS = "kubernetes/raycluster.yaml", "kubernetes/rayjob-build.yaml", "kubernetes/access.yaml"
SERVER, WORKER, BASE = (
    "helm/prefect-server-values.yaml",
    "helm/prefect-worker-values.yaml",
    "helm/base-job-template.json",
)
FLINK, DATAFLOW, SBATCH = "beam/flink.yaml", "beam/dataflow.yaml", "slurm/build.sbatch"

BROKEN = [
    # Images
    (DOCKER, "COPY infra/prefect infra/prefect\nUSER 1000:1000", "", "runs as root"),
    (DOCKER, "USER 1000:1000\nEXPOSE 6379", "USER root\nEXPOSE 6379", "runs as root"),
    (DOCKER, "USER 1000:1000\nEXPOSE 6379", "USER pixelpairs\nEXPOSE 6379", "a number that is not 0"),
    (DOCKER, "python:3.11.14-slim-bookworm", "python:latest", "latest is another image"),
    (DOCKER, "python:3.11.14-slim-bookworm", "python", "has no tag"),
    (DOCKER, "--no-deps --require-hashes -r requirements/images.lock", "-r requirements/images.lock", "without --require-hashes"),
    (DOCKER, "DO_NOT_TRACK=1", "RAY_AUTH_TOKEN=abc", "would be kept in the image"),
    (DOCKER, "WORKDIR /src", "ARG HF_TOKEN", "would be kept in the image"),
    (DOCKER, "COPY flows flows", "COPY flow flow", "there is no such file"),
    (DOCKER, "COPY flows flows", "COPY tests tests", ".dockerignore leaves it out"),
    (DOCKER, "COPY flows flows", "ADD https://example.org/x.tar /x", "use COPY"),
    (DOCKER, "RUN python -m venv /opt/pixelpairs", "RUN wget -O - https://example.org/i.sh | sh", "runs what it downloads"),
    (DOCKER, "HEALTHCHECK NONE\nENTRYPOINT [\"/opt", "ENTRYPOINT [\"/opt", "says nothing of its health"),
    (DOCKER, "WORKDIR /src", "WORKDIR src", "hadolint"),
    # Compose
    (COMPOSE, "postgres:17.6-bookworm", "postgres:latest", "latest is another image"),
    (COMPOSE, "POSTGRES_PASSWORD_FILE: /run/secrets/postgres_password", "POSTGRES_PASSWORD: prefect", "a secret in plain sight"),
    (COMPOSE, "127.0.0.1:8265:8265", "8265:8265", "open to the network"),
    (COMPOSE, "RAY_AUTH_MODE: token", "RAY_AUTH_MODE: disabled", "its token is to stay on"),
    (COMPOSE, "secrets: [store_config]", "secrets: [store_confg]", "there is no secret store_confg"),
    (COMPOSE, "    secrets: [postgres_password]\n", "", "is not mounted"),
    (COMPOSE, "healthcheck:\n      test: [CMD, pg_isready", "healthchek:\n      test: [CMD, pg_isready", "healthchek"),
    (COMPOSE, "postgres: {condition: service_healthy}", "postgres: {condition: service_started}", "not for the readiness"),
    (COMPOSE, "stop_grace_period: 60s", "privileged: true", "has the host"),
    (COMPOSE, "  ray-head:\n    <<", "  ray-hed:\n    <<", "there is no ray-head"),
    (COMPOSE, "{file: secrets/ray_token}", "{file: token.txt}", "a file below secrets/"),
    # KubeRay
    (CLUSTER, "    mode: token\n", "    mode: disabled\n", "'token' was expected"),
    (CLUSTER, "  authOptions:\n    mode: token\n    secretName: ray-token\n", "", "'authOptions' is a required property"),
    (CLUSTER, "secretName: ray-token", "secretName: ray-tokn", "there is no secret ray-tokn"),
    (CLUSTER, "secretRef: {name: store-credentials}", "secretRef: {name: store}", "there is no secret store"),
    (CLUSTER, "  workerGroupSpecs:", "  workerGroupSpec:", "workerGroupSpec"),
    (CLUSTER, "runAsNonRoot: true", "runAsNonRoot: false", "may run as root"),
    (CLUSTER, "runAsUser: 1000", "runAsUser: 0", "may run as root"),
    (CLUSTER, "containerPort: 6379", "containerPort: '6379'", "is not of type 'integer'"),
    (CLUSTER, "terminationGracePeriodSeconds: 60", "terminationGraceSeconds: 60", "terminationGraceSeconds"),
    (CLUSTER, 'num-cpus: "0"', "num-cpus: 0", "is not of type 'string'"),
    (CLUSTER, "maxReplicas: 20", "maxReplicas: 0", "replicas are not between"),
    (CLUSTER, "pixelpairs/ray:0.1.0", "pixelpairs/ray:latest", "latest is another image"),
    (CLUSTER, 'requests: {cpu: "8", memory: 16Gi}', "requests: {memory: 16Gi}", "requests no cpu"),
    (CLUSTER, "capabilities: {drop: [ALL]}", "capabilities: {drop: []}", "keeps privileges"),
    (CLUSTER, "persistentVolumeClaim: {claimName: pixelpairs-data}", "hostPath: {path: /data}", "a folder of the host"),
    (CLUSTER, "envFrom: *store\n", "env: [{name: RAY_AUTH_TOKEN, value: abc}]\n", "a secret in plain sight"),
    (JOB, "shutdownAfterJobFinishes: true", "shutdownAfterJobFinishes: false", "needs shutdownAfterJobFinishes"),
    (JOB, "entrypoint: pixelpairs", "entryPoint: pixelpairs", "entryPoint"),
    (JOB, "submissionMode: K8sJobMode", "submissionMode: HTTPMode", "has no submitter"),
    (ACCESS, "roleRef:", "roleref:", "'roleRef' is a required property"),
    (ACCESS, "kind: ServiceAccount\nmetadata", "kind: Secret\nmetadata", "made on the cluster"),
    # Charts
    (SERVER, "enabled: true\n    existingSecret: prefect-auth", "enabled: false", "existingSecret"),
    (SERVER, "existingSecret: prefect-database", "existingSecret: database", "there is no secret database"),
    (SERVER, "3.8.8-python3.11", "3-latest", "latest is another image"),
    (SERVER, "loggingLevel", "logLevel", "logLevel"),
    (WORKER, "installPolicy: never", "installPolicy: always", "installPolicy"),
    (WORKER, 'DO_NOT_TRACK, value: "1"', "PREFECT_API_AUTH_STRING, value: 'admin:x'", "a secret in plain sight"),
    (BASE, "{{ data_claim }}", "{{ claim }}", "{{ claim }} is no variable"),
    (BASE, '"runAsUser": 1000', '"runAsUser": 0', "may run as root"),
    (BASE, '"restartPolicy": "Never"', '"restart": "Never"', "restart"),
    (BASE, "flows:0.1.0", "flows:latest", "latest is another image"),
    (BASE, '"default": 900', '"default": "900"', "is not of type 'integer'"),
    # Beam
    (FLINK, "--flink_master=", "--flink_mastre=", "--flink_mastre"),
    (FLINK, "--parallelism=16", "--parallelism=many", "many"),
    (DATAFLOW, "  - --region=europe-west4\n", "", "--region is missing"),
    (DATAFLOW, "beam:0.1.0", "beam:latest", "latest is another image"),
    # Shell
    (SBATCH, 'build "$recipe"', "build $recipe", "SC2086"),
    (SBATCH, "set -euo pipefail\n", "", "goes on after an error"),
    (SBATCH, "#SBATCH --dependency=singleton\n", "", "--dependency=singleton"),
    (SHELL, 'chmod 700 "$folder"', "chmod 700 $folder", "SC2086"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "words"), BROKEN, ids=lambda value: str(value)[:40])
def test_what_is_broken_is_refused(tree: Path, tools: Tools, file: str, old: str, new: str, words: str) -> None:
    path = tree / "infra" / file
    text = path.read_text()
    assert old in text, "the test is out of date"
    path.write_text(text.replace(old, new, 1))
    secrets = inventory(tree / "infra" / "kubernetes" / "secrets.yaml")
    faults = [str(fault) for fault in check_file(path, tree, secrets, tools)]
    assert any(words in fault for fault in faults), faults
    assert all(fault.startswith(f"infra/{file}: ") for fault in faults)


@pytest.mark.parametrize("image", ["a/b:1", "host:5000/a:1.2", "a@sha256:" + "0" * 64])
def test_images_that_are_pinned(image: str) -> None:
    assert unpinned(image) is None


@pytest.mark.parametrize("image", ["a", "a/b", "host:5000/a", "a:latest", "a:3-latest", ""])
def test_images_that_are_not(image: str) -> None:
    assert unpinned(image)


def test_names_of_secrets_and_of_their_places() -> None:
    for name in (
        "POSTGRES_PASSWORD",
        "HF_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "PREFECT_API_AUTH_STRING",
        "PREFECT_API_DATABASE_CONNECTION_URL",
    ):
        assert holds_secret(name, "x")
        assert not holds_secret(name, "")
    for name in ("POSTGRES_PASSWORD_FILE", "RAY_AUTH_TOKEN_PATH", "X_TOKEN_FROM_FILE", "OMP_NUM_THREADS"):
        assert not holds_secret(name, "x")


def test_secrets_are_read_from_files(tmp_path: Path) -> None:
    """The entry point of the images."""
    (tmp_path / "secret").write_text('a "b" $c\n')
    script = ROOT / "infra" / "docker" / "with-secrets.sh"
    told = [sys.executable, "-c", "import os; print(repr(os.environ['TOKEN']), 'TOKEN_FROM_FILE' in os.environ)"]
    environment = {**os.environ, "TOKEN_FROM_FILE": str(tmp_path / "secret")}
    done = subprocess.run(["sh", str(script), *told], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "'a \"b\" $c' False\n"
    environment["TOKEN_FROM_FILE"] = str(tmp_path / "none")
    refused = subprocess.run(["sh", str(script), "true"], env=environment, capture_output=True, text=True)
    assert refused.returncode == 1
    assert "TOKEN is to come from" in refused.stderr


def test_the_secrets_of_compose_are_made_once(tmp_path: Path) -> None:
    shutil.copy(ROOT / "infra" / "compose" / "make-secrets.sh", tmp_path)
    for _ in range(2):
        subprocess.run(["sh", str(tmp_path / "make-secrets.sh")], check=True, capture_output=True)
        held = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
        assert len(held) == 7
        assert held["postgres_password"] in held["prefect_database_url"]
        assert all(held.values())
        first = held if _ == 0 else first  # noqa: F821
    assert held == first
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0
