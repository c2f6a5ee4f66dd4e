"""What a recipe says of engines: programs that translate lines, CTranslate2 models, and the routes that sentences take."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from pairs import language
from pairs.back_translation import BackTranslationOptions
from pipelines.sources.spec import Language, Name

_PLACE = re.compile(r"\{([a-z0-9_]+)\}")


class _Engine(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    batch_size: int = Field(
        default=512,
        ge=1,
        le=100_000,
        description="sentences that the engine is given at once. An engine that lets neighbours colour a translation (Apertium's "
        "tagger does) gives each sentence the same whatever else is in the corpus only with 1",
    )
    unknown_marks: str = Field(
        default="",
        max_length=8,
        description="characters that the engine puts before a word it does not know (Apertium: *); they are taken off and counted",
    )
    failed_marks: str = Field(
        default="",
        max_length=8,
        description="characters before a word that it could not carry over or form (Apertium: @#)",
    )


class CommandEngine(_Engine):
    """A program that reads sentences, a line each, and writes their translations, a line each. No shell is involved."""

    type: Literal["command"]
    argv: list[Annotated[str, Field(min_length=1, max_length=4096)]] = Field(
        min_length=1,
        max_length=200,
        description="the program and its words; {name} stands for the path of `files.name`. A program's name without / is looked "
        "for on the PATH of the machines that translate",
    )
    files: dict[Name, str] = Field(
        default_factory=dict,
        description="name -> file, folder or glob whose content the translations depend on: models, dictionaries. When it "
        "changes, sentences are translated again; where it lies does not matter",
    )
    release: str = Field(
        default="",
        max_length=100,
        description="the engine's release, or any word: when it changes, sentences are translated again",
    )
    stream: bool = Field(
        default=False,
        description="whether the program answers each line at once, so that one process can serve many batches; else one is "
        "started for each batch and reads to the end",
    )
    fence: list[Annotated[str, Field(max_length=200, pattern=r"^[^\r\n]*$")]] = Field(
        default=[""],
        max_length=4,
        description="lines that go in after each sentence and must come out as they are, so that no translation can slip to its "
        "neighbour unseen; default: one empty line. Apertium needs a sentence of its own: ['', '.', '']",
    )
    start_seconds: float = Field(default=60.0, gt=0, le=3600, description="a batch may take so long, and")
    sentence_seconds: float = Field(default=0.5, ge=0, le=600, description="so long for each of its sentences")

    @field_validator("argv")
    @classmethod
    def _one_line_each(cls, value: list[str]) -> list[str]:
        if any("\x00" in word for word in value):
            raise ValueError("a word with a NUL byte cannot be passed on")
        return value

    @model_validator(mode="after")
    def _placed(self) -> CommandEngine:
        for word in self.argv:
            for name in _PLACE.findall(word):
                if name not in self.files:
                    raise ValueError(f"argv has {{{name}}}, and `files` names no {name}")
        return self

    def words(self, paths: dict[str, str]) -> list[str]:
        """The program and its words, `{name}` filled in.

        Args:
            paths: Name -> path, as `files` names them.
        """
        return [_PLACE.sub(lambda found: paths[found[1]], word) for word in self.argv]


class CTranslate2Engine(_Engine):
    """A Transformer that CTranslate2 runs (extra `translate`), with SentencePiece pieces; on the GPU where Ray has one."""

    type: Literal["ctranslate2"]
    batch_size: int = Field(default=64, ge=1, le=100_000, description="sentences that the model is given at once")
    model: str = Field(min_length=1, description="folder of the converted model")
    tokenizer: str = Field(min_length=1, description="SentencePiece model of the source side")
    target_tokenizer: str | None = Field(default=None, min_length=1, description="of the target side; null: the same")
    source_prefix: list[str] = Field(
        default_factory=list, max_length=8, description="pieces before each sentence, such as >>spa<< or spa_Latn"
    )
    target_prefix: list[str] = Field(
        default_factory=list,
        max_length=8,
        description="pieces that each translation begins with, such as spa_Latn; taken off",
    )
    source_end: str | None = Field(default="</s>", max_length=20, description="piece after each sentence; null: none")
    beam_size: int = Field(default=2, ge=1, le=32, description="hypotheses that are followed; 1: greedy")
    max_pieces: int = Field(
        default=256, ge=1, le=4096, description="pieces of a sentence and of a translation; more are cut"
    )
    compute_type: Literal["default", "int8", "int16", "float16", "float32", "bfloat16"] = Field(
        default="default", description="default: as the model was converted"
    )
    threads: int = Field(default=1, ge=1, le=256, description="CPU threads of one actor")


Engine = Annotated[CommandEngine | CTranslate2Engine, Field(discriminator="type")]


class Route(BaseModel):
    """From one language to another and back."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    language: Language = Field(description="of the sentences, BCP 47; en takes en-GB too")
    through: Language = Field(description="the language in between")
    forward: Engine
    backward: Engine

    @model_validator(mode="after")
    def _differ(self) -> Route:
        if language.primary(self.language) == language.primary(self.through):
            raise ValueError("`language` and `through` must differ")
        return self


class BackTranslation(BackTranslationOptions):
    """Back-translations: which sentences, over which routes, and what of it is kept."""

    routes: dict[Name, Route] = Field(
        default_factory=dict,
        max_length=64,
        description="name -> route; of several that begin with a sentence's language one is drawn by hash. None: there are only "
        "bitext sources of role back_translation",
    )
    runs: int = Field(
        default=4096,
        ge=1,
        le=1_000_000,
        description="sentences of one run on an actor: what a crash of the machine loses",
    )
