"""What the launchers render, held against the same rules as the files: a RayJob and a batch script with everything in them."""

from __future__ import annotations

from collections.abc import Iterator

from infra.check import kubernetes, shell
from infra.check.common import Fault, Tools
from pipelines.train.launchers.base import Job
from pipelines.train.launchers.kuberay_manifest import rayjob
from pipelines.train.launchers.slurm_script import script
from pipelines.train.options import KubeRayOptions, SlurmOptions
from pipelines.train.spec import TrainerSpec

_WORDS = ("python", "-m", "pipelines.train.reference", "--note", 'it\'s $(a) "b"\n`c` ünï')
_FULL = {
    "argv": list(_WORDS),
    "env": {"NOTE": "it's $HOME\n#SBATCH --uid=0"},
    "resources": {"cpus": 8, "gpus": 2, "memory_gib": 32, "processes": 2},
    "timeout_seconds": 3600,
}


def check(secrets: dict[str, list[str]], tools: Tools) -> Iterator[Fault]:
    """Faults of what is rendered."""
    more = {
        "image": "registry.example/pixelpairs/trainer:0.1.0",
        "secret_env": {"AWS_ACCESS_KEY_ID": "store-credentials/AWS_ACCESS_KEY_ID"},
    }
    spec = TrainerSpec.model_validate({**_FULL, **more, "backend": "kuberay"})
    job = Job("0" * 16, spec, _WORDS, "/data/out")
    options = KubeRayOptions(claims={"pixelpairs-data": "/data"}, workers=2, ray_token_secret="ray-token")  # noqa: S106
    yield from kubernetes.check_objects("rendered RayJob", [rayjob(job, options, "pixelpairs-0-1")], secrets, tools)
    for nodes in (1, 2):
        spec = TrainerSpec.model_validate({**_FULL, "backend": "slurm", "resources": {"cpus": 8, "nodes": nodes}})
        text = script(Job("0" * 16, spec, _WORDS, "/data/out"), SlurmOptions(partition="gpu"), "/data/it's out")
        yield from shell.check(f"rendered batch script of {nodes} nodes", text, tools)
