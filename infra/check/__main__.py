"""`python -m infra.check [--tools BIN] [ROOT]`: exit 0 where all is well, 1 with a line a fault, 2 where a tool is missing."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from infra.check import beam_options, compose, dockerfiles, helm, kubernetes, rendered, shell
from infra.check.common import Fault, ToolMissingError, Tools, documents

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDERS = ("beam", "compose", "docker", "helm", "kubernetes", "slurm")
SECRETS = "secrets.yaml"


def check_file(path: Path, root: Path, secrets: dict[str, list[str]], tools: Tools) -> Iterator[Fault]:
    """Faults of one file, by the folder that it is in; nothing is asked of files that no tool reads."""
    shown, folder = str(path.relative_to(root)), path.parent.name
    if "Dockerfile" in path.name:
        yield from dockerfiles.check(path, root, tools)
    elif path.suffix in (".sh", ".sbatch"):
        yield from shell.check(shown, path.read_text(), tools)
    elif folder == "compose" and path.suffix == ".yaml":
        yield from compose.check(path, root, tools)
    elif folder == "kubernetes" and path.suffix == ".yaml" and path.name != SECRETS:
        yield from kubernetes.check_objects(shown, documents(path), secrets, tools)
    elif folder == "helm" and path.suffix == ".yaml":
        yield from helm.check_values(path, root, secrets)
    elif folder == "helm" and path.suffix == ".json":
        yield from helm.check_template(path, root, secrets, tools)
    elif folder == "beam" and path.suffix == ".yaml":
        yield from beam_options.check(path, root)


def check_all(root: Path, tools: Tools) -> Iterator[Fault]:
    """Faults of everything under infra/, and of what the launchers render."""
    secrets = kubernetes.inventory(root / "infra" / "kubernetes" / SECRETS)
    for folder in FOLDERS:
        for path in sorted((root / "infra" / folder).iterdir()):
            if path.is_file():
                yield from check_file(path, root, secrets, tools)
    yield from rendered.check(secrets, tools)


def main() -> int:
    """Prints the faults."""
    parser = argparse.ArgumentParser(prog="python -m infra.check", description=__doc__)
    parser.add_argument("root", nargs="?", type=Path, default=ROOT)
    parser.add_argument("--tools", type=Path, help="bin folder of the tools; default: the PATH")
    parser.add_argument("--secrets", action="store_true", help="print how the secrets are made, and nothing else")
    words = parser.parse_args()
    if words.secrets:
        (found,) = documents(words.root / "infra" / "kubernetes" / SECRETS)
        for entry in found:
            sys.stdout.write(f"# {entry['for']}\n{entry['make']}\n")
        return 0
    try:
        faults = sorted(check_all(words.root.resolve(), Tools(words.tools)))
    except ToolMissingError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.writelines(f"{fault}\n" for fault in faults)
    sys.stdout.write(f"infra: {len(faults)} faults\n" if faults else "infra: all is well\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
