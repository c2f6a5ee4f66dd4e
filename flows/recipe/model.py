"""What a recipe says: one typed group a part, every field bounded and described."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from flows.recipe.errors import PlacedError
from flows.recipe.runtime import Model, Runtime
from pairs import back_translation, translations
from pairs.alt_text import AltTextOptions
from pairs.holdout import HoldoutOptions
from pairs.schema import Kind
from pairs.sentences import SentenceOptions
from pairs.translations import TranslationOptions
from pairs.word_drop import WordDropOptions
from pipelines.gate import GateBounds
from pipelines.manifest import digest_of
from pipelines.publish.champion import Promotion
from pipelines.sources.spec import BitextSource, DocumentsSource, ImageTextSource, Name, Source
from pipelines.train.spec import TrainerSpec
from pipelines.translate.spec import BackTranslation
from rendering import RenderSpec

MADE: tuple[Kind, ...] = ("image_alt", "sentences", "translations", "back_translation", "word_drop")
"""The kinds that a build can make so far."""


class Pairs(Model):
    """Which pairs to make, and how. A kind that is left out, or null, is not made."""

    image_alt: AltTextOptions | None = Field(default=None, description="photographs with their alt-texts: the rules")
    sentences: SentenceOptions | None = Field(default=None, description="consecutive sentences of documents")
    translations: TranslationOptions | None = Field(default=None, description="lines of bitext")
    back_translation: BackTranslation | None = Field(
        default=None, description="sentences beside themselves, translated to another language and back"
    )
    word_drop: WordDropOptions | None = Field(
        default=None, description="sentences with words dropped; made from `sentences`"
    )

    def wanted(self) -> list[Kind]:
        """The kinds to make, in a fixed order."""
        return [kind for kind in MADE if getattr(self, kind) is not None]


class Render(Model):
    """How text becomes pixels: a preset, and what differs from it."""

    preset: Literal["clippo"] = "clippo"
    width: int | None = Field(default=None, description="px")
    height: int | None = Field(default=None, description="px")
    font_size: int | None = Field(default=None, description="px; 16 draws Unifont as it is")
    max_chars: int | None = Field(default=None, description="code points; 0 = all")
    background: int | None = Field(default=None, description="grey, 0..255")
    text: int | None = Field(default=None, description="grey, 0..255")
    lower: bool | None = None
    monospace: bool | None = None
    spacing: int | None = Field(default=None, description="px")
    min_width: int | None = Field(default=None, description="px")
    fonts: list[str] = Field(
        default_factory=list, description=".hex or .hex.gz files, later ones add; none: the bundled Unifont 15"
    )

    def spec(self) -> RenderSpec:
        """The renderer's spec."""
        changed = {
            name: value for name, value in self.model_dump(exclude={"preset", "fonts"}).items() if value is not None
        }
        return RenderSpec.from_dict({**RenderSpec.preset(self.preset).to_dict(), **changed})

    @model_validator(mode="after")
    def _usable(self) -> Render:
        try:
            self.spec()
        except (TypeError, ValueError) as error:
            name, _, words = str(error).removeprefix("RenderSpec.").partition(" ")
            if name in type(self).model_fields:
                raise PlacedError((name,), words) from error
            raise PlacedError((), str(error)) from error
        return self


class Shards(Model):
    """How samples are cut into shards."""

    samples: int = Field(default=2000, ge=1, le=1_000_000, description="samples a shard, the last one fewer")
    per_kind: dict[Kind, Annotated[int, Field(ge=1, le=1_000_000)]] = Field(
        default_factory=dict, description="kind -> samples a shard"
    )

    def of(self, kind: str) -> int:
        """Samples a shard of one kind."""
        return self.per_kind.get(kind, self.samples)  # type: ignore[call-overload]  # a str that is no kind has none


class Holdout(HoldoutOptions):
    """What is set aside for evaluation and published as the split `validation`, beside `train`."""

    per_kind: dict[Kind, HoldoutOptions] = Field(
        default_factory=dict, description="kind -> its own share and most; what is made from another kind follows that"
    )

    def of(self, kind: str) -> HoldoutOptions:
        """How much of one kind is held out."""
        plain = HoldoutOptions(share=self.share, most=self.most)
        return self.per_kind.get(kind, plain)  # type: ignore[call-overload]  # likewise


class Card(Model):
    """What the data set's card says beside the figures."""

    title: str | None = None
    description: str | None = None
    license: str = Field(default="other", description="an identifier that Hugging Face knows, or `other`")


class Recipe(Model):
    """A data set's recipe."""

    name: Name = Field(description="name of the data set: lower case, digits, _")
    seed: int = Field(default=0, ge=0, lt=2**63, description="every random choice is hash(seed, stage, key)")
    sources: dict[Name, Source] = Field(min_length=1)
    pairs: Pairs
    render: Render = Render()
    shards: Shards = Shards()
    holdout: Holdout | None = Field(default=None, description="null: nothing is held out")
    mix: dict[Kind, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict, description="kind -> weight in training; none: in proportion to the samples"
    )
    gate: GateBounds = GateBounds()
    promotion: Promotion = Field(default=Promotion(), description="what it takes to become the version in use")
    train: TrainerSpec | None = Field(default=None, description="what to start on the published version; null: nothing")
    card: Card = Card()
    runtime: Runtime = Runtime()

    @model_validator(mode="after")
    def _fits_together(self) -> Recipe:
        wanted = self.pairs.wanted()
        if not wanted:
            raise PlacedError(("pairs",), f"make at least one of {', '.join(MADE)}")
        for kind, named in self._feeding().items():
            type_ = {"image_alt": "image_text", "sentences": "documents"}.get(kind, "bitext")
            if kind in wanted and not named and kind != "back_translation":
                raise PlacedError(("pairs", kind), f"needs a source of type {type_}; there is none")
            if named and kind not in wanted:
                words = f"would be read for nothing: add pairs.{kind}, or remove it"
                raise PlacedError(("sources", named[0]), words)
        self._translated()
        alt = self.pairs.image_alt
        if alt is not None and alt.min_similarity is not None and alt.similarity is None:
            for name, source in self.sources.items():
                if isinstance(source, ImageTextSource) and source.columns.similarity is None:
                    words = f"needs scores: add a model (pairs.image_alt.similarity), or name sources.{name}.columns.similarity"
                    raise PlacedError(("pairs", "image_alt", "min_similarity"), words)
        if "word_drop" in wanted and "sentences" not in wanted:
            raise PlacedError(("pairs", "word_drop"), "is made from sentences: add pairs.sentences")
        of_kinds: list[tuple[tuple[str, ...], Mapping[Kind, Any]]] = [
            (("mix",), self.mix),
            (("shards", "per_kind"), self.shards.per_kind),
            (("holdout", "per_kind"), self.holdout.per_kind if self.holdout is not None else {}),
            (("gate", "min_samples"), self.gate.min_samples),
            (("gate", "min_kept"), self.gate.min_kept),
            (("promotion", "max_shrink"), self.promotion.max_shrink),
        ]
        for place, kinds in of_kinds:
            for kind in kinds:
                if kind not in wanted:
                    raise PlacedError((*place, kind), f"that kind is not made; pairs makes {', '.join(wanted)}")
        if self.holdout is not None and "word_drop" in self.holdout.per_kind:
            raise PlacedError(("holdout", "per_kind", "word_drop"), "follows sentences: it is made from them")
        return self

    def _feeding(self) -> dict[str, list[str]]:
        """Kind -> the sources that are read for it, in the recipe's order."""
        found: dict[str, list[str]] = {"image_alt": [], "sentences": [], "translations": [], "back_translation": []}
        for name, source in self.sources.items():
            kind = source.role if isinstance(source, BitextSource) else None
            found[kind or {"image_text": "image_alt", "documents": "sentences"}[source.type]].append(name)
        return found

    def _translated(self) -> None:
        """Whether there is something to translate, or translated already."""
        options = self.pairs.back_translation
        place = ("pairs", "back_translation")
        if options is None:
            return
        if not options.routes and not self.bitext_of("back_translation"):
            words = "needs routes, or a source of type bitext and role back_translation"
            raise PlacedError((*place, "routes"), words)
        if options.routes and not self.to_translate():
            kinds = " or ".join(f"pairs.{kind}" for kind in options.sentences_of)
            raise PlacedError((*place, "sentences_of"), f"there are no sentences to translate: add {kinds}")

    def to_translate(self) -> list[str]:
        """The kinds whose pairs' sentences are translated."""
        options = self.pairs.back_translation
        if options is None or not options.routes:
            return []
        return [kind for kind in options.sentences_of if getattr(self.pairs, kind) is not None]

    def bitext_of(self, role: str) -> list[str]:
        """The bitext sources of one role, sorted."""
        return sorted(
            n for n, source in self.sources.items() if isinstance(source, BitextSource) and source.role == role
        )

    def bitext_options(self, name: str) -> dict[str, Any]:
        """The options that change what is measured of a bitext source."""
        source, pairs = self.sources[name], self.pairs
        assert isinstance(source, BitextSource)
        if source.role == "back_translation":
            assert pairs.back_translation is not None
            return pairs.back_translation.model_dump(mode="json", include=set(back_translation.MEASURED_BY))
        assert pairs.translations is not None
        return pairs.translations.model_dump(mode="json", include=set(translations.MEASURED_BY))

    def of_type(self, type_: str) -> dict[str, ImageTextSource | DocumentsSource | BitextSource]:
        """The sources of one type, by name."""
        return {name: source for name, source in sorted(self.sources.items()) if source.type == type_}

    @property
    def digest(self) -> str:
        """Hash of all that determines the published bytes: everything but `runtime` and `promotion`."""
        return digest_of(self.model_dump(mode="json", exclude={"runtime", "promotion"}))


def schema() -> Mapping[str, Any]:
    """JSON schema of a recipe, for editors."""
    return Recipe.model_json_schema()
