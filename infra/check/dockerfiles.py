"""Dockerfiles: hadolint, and what it does not ask."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from infra.check.common import Fault, Tools, holds_secret, unpinned

_FROM = re.compile(r"(?:--platform=\S+\s+)?(\S+)(?:\s+AS\s+(\S+))?", re.IGNORECASE)


@dataclass
class Stage:
    """One FROM and what follows it."""

    base: str
    name: str
    line: int
    instructions: list[tuple[int, str, str]] = field(default_factory=list)


def instructions(text: str) -> Iterator[tuple[int, str, str]]:
    """Line, name and words of each instruction; continued lines are one, comments are left out."""
    first, held = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#") or (not held and not line.strip()):
            continue
        first = first if held else number
        held += line.rstrip()
        if held.endswith("\\"):
            held = held[:-1] + " "
            continue
        name, _, words = held.strip().partition(" ")
        yield first, name.upper(), words.strip()
        held = ""


def stages(text: str) -> tuple[dict[str, str], list[Stage]]:
    """The defaults of global ARGs, and the stages."""
    defaults: dict[str, str] = {}
    found: list[Stage] = []
    for line, name, words in instructions(text):
        if name == "FROM":
            match = _FROM.fullmatch(words)
            base, alias = (match[1], match[2] or "") if match else (words, "")
            found.append(Stage(re.sub(r"\$\{?(\w+)\}?", lambda one: defaults.get(one[1], one[0]), base), alias, line))
        elif not found and name == "ARG":
            key, _, value = words.partition("=")
            defaults[key] = value
        elif found:
            found[-1].instructions.append((line, name, words))
    return defaults, found


def check(path: Path, root: Path, tools: Tools) -> Iterator[Fault]:
    """Faults of a Dockerfile whose build context is `root`."""
    shown = str(path.relative_to(root))
    code, said = tools.run("hadolint", "--failure-threshold=style", str(path))
    if code:
        yield from (
            Fault(shown, "hadolint", line.removeprefix(f"{path}:")) for line in said.splitlines() if line.strip()
        )
    _, found = stages(path.read_text())
    known = {stage.name: stage for stage in found if stage.name}
    used = {stage.base for stage in found} | {
        word.removeprefix("--from=") for stage in found for _, name, words in stage.instructions if name == "COPY"
        for word in words.split() if word.startswith("--from=")
    }  # fmt: skip
    for stage in found:
        place = f"stage {stage.name or stage.base}, line {stage.line}"
        if stage.base not in known and stage.base != "scratch" and (wrong := unpinned(stage.base)):
            yield Fault(shown, place, wrong)
        yield from (Fault(shown, f"line {line}", message) for line, message in _instructions(stage, root))
        if stage.name not in used:  # what is built and run
            user = _last(stage, known, "USER")
            if user is None or not re.fullmatch(r"[1-9]\d*(:[1-9]\d*)?", user):
                yield Fault(
                    shown,
                    place,
                    f"runs as {user or 'root'}: end with USER and a number that is not 0, which Kubernetes can check",
                )
            if not any(name == "HEALTHCHECK" for _, name, _ in stage.instructions):
                yield Fault(shown, place, "says nothing of its health: HEALTHCHECK, or HEALTHCHECK NONE")


def _last(stage: Stage, known: dict[str, Stage], name: str) -> str | None:
    """The last instruction of a name in a stage, else in the one that it builds on."""
    own = [words for _, found, words in stage.instructions if found == name]
    if own:
        return own[-1]
    return _last(known[stage.base], known, name) if stage.base in known else None


def _instructions(stage: Stage, root: Path) -> Iterator[tuple[int, str]]:
    for line, name, words in stage.instructions:
        if name in ("ENV", "ARG"):
            for word in shlex.split(words):
                key, _, value = word.partition("=")
                if holds_secret(key, value or ("x" if name == "ARG" else "")):
                    yield line, f"{key} would be kept in the image: mount secrets when it runs"
        elif name == "ADD":
            yield line, "ADD fetches and unpacks: use COPY"
        elif name == "COPY" and "--from=" not in words:
            *sources, _ = [word for word in words.split() if not word.startswith("--")]
            for source in sources:
                if not (root / source).exists():
                    yield line, f"COPY {source}: there is no such file"
                elif _ignored(source, root):
                    yield line, f"COPY {source}: .dockerignore leaves it out"
        elif (
            name == "RUN"
            and re.search(r"\bpip3? install\b", words)
            and "--require-hashes" not in words
            and "--no-deps" not in words
        ):
            yield line, "pip install without --require-hashes: what is installed would be another thing every day"
        elif name == "RUN" and re.search(r"(curl|wget)\b[^|;&]*\|", words):
            yield line, "runs what it downloads unseen"


def _ignored(source: str, root: Path) -> bool:
    """Whether a .dockerignore that begins with `*` does not take a path back in."""
    file = root / ".dockerignore"
    rules = (
        [line.strip() for line in file.read_text().splitlines() if line.strip() and not line.startswith("#")]
        if file.exists()
        else []
    )
    taken = [rule[1:].rstrip("/") for rule in rules if rule.startswith("!")]
    return "*" in rules and not any(source == one or source.startswith(one + "/") for one in taken)
