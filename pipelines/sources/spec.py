"""What a recipe says of its raw inputs. One model a type of source; the readers beside this module follow them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]{0,63}$")]
_LANGUAGE = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$"
Language = Annotated[str, Field(pattern=_LANGUAGE)]
_MAX_COLUMNS = 10_000
Tokenized = Literal["auto"] | bool
SIDE_BY_SIDE = ("lines", "sgm")
"""Formats of bitext whose two sides are files of their own."""


class _Source(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    max_record_bytes: int = Field(
        default=4 << 20,
        ge=1 << 10,
        le=1 << 30,
        description="a line or text field above this is an error record (default 4 MiB)",
    )


def _column(value: Any) -> Any:
    """One clear fault where a union would give one for each of its types."""
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MAX_COLUMNS:
        return value
    raise ValueError("a column's name is wanted, or in csv and tsv its position, from 0")


def _columns(value: Any) -> Any:
    return [_column(item) for item in value] if isinstance(value, list) and value else _column(value)


def _texts(value: Any) -> Any:
    if not isinstance(value, dict) or not value:
        return _columns(value)
    for code in value:
        if not isinstance(code, str) or not re.fullmatch(_LANGUAGE, code):
            raise ValueError(f"language -> column is wanted; {code!r} is no language (BCP 47)")
    return {code: _columns(column) for code, column in value.items()}


Column = Annotated[str | int, BeforeValidator(_column)]
"""A column: its name, a dotted path (`meta.url`) to a field inside of it, or, in csv and tsv, its position from 0."""
Columns = Annotated[str | int | list[str | int], BeforeValidator(_columns)]
Texts = Annotated[str | int | list[str | int] | dict[str, str | int | list[str | int]], BeforeValidator(_texts)]


class ImageTextColumns(BaseModel):
    """Columns (parquet, csv, tsv) or json fields (jsonl, webdataset); null looks for the usual names, in any case of letters."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image: str | None = Field(
        default=None, description="bytes, or a struct with `bytes` (parquet); usual: image, jpg, png, image_bytes"
    )
    text: Texts | None = Field(
        default=None,
        description="the text; or a list of columns, or language -> column, each of which gives a text of the image, "
        "or several: a list, or texts by language. Usual, the first that is there: text, alt, alt_text, caption, txt, title",
    )
    texts: Columns | None = Field(
        default=None,
        description="more texts: lists of strings or of {lang, text}, or {lang: text}; usual: texts, captions",
    )
    tags: Columns | None = Field(
        default=None, description='tags, a string or a list: one text, joined with ", "; read only where named'
    )
    url: Column | None = Field(default=None, description="usual: url, image_url")
    language: Column | None = Field(
        default=None, description="language of the texts that bring none of their own; usual: lang, language"
    )
    width: Column | None = Field(
        default=None,
        description="declared width, px, of a picture that is not there; usual: original_width, width",
    )
    height: Column | None = Field(default=None, description="declared height; usual: original_height, height")
    similarity: Column | None = Field(
        default=None, description="a similarity of image and text that the table brings; read only where named"
    )


class ImageTextSource(_Source):
    """Photographs with their alt-texts, or a table of alt-texts without photographs (which is filtered and kept as a table)."""

    type: Literal["image_text"]
    path: str | list[str] = Field(description="file, glob or fsspec URL, or a list of them")
    format: Literal["auto", "parquet", "webdataset", "csv", "tsv", "jsonl"] = Field(
        default="auto", description="auto: by the file's name"
    )
    header: bool | Literal["auto"] = Field(
        default="auto",
        description="csv, tsv: whether the first line names the columns; auto: it does where no field of it is a URL and one is a "
        "usual name or one that the recipe names",
    )
    names: list[Annotated[str, Field(min_length=1)]] | None = Field(
        default=None, min_length=1, description="csv, tsv without a header: names for the columns, in order"
    )
    quoting: Literal["auto", "csv", "none"] = Field(
        default="auto",
        description='csv: a field in double quotes may hold delimiters and line ends, "" is a quote; none: quotes are text; '
        "auto: csv files are quoted, tsv files where their first lines can only have been written so",
    )
    columns: ImageTextColumns = ImageTextColumns()
    texts: Literal["all", "first", "one"] = Field(
        default="all",
        description="of several texts of one image: each makes a pair; the first does; or one drawn by hash(seed, key)",
    )
    max_image_pixels: int = Field(
        default=64_000_000,
        ge=1,
        le=1_000_000_000,
        description="an image that declares more is an error and is not decoded",
    )
    max_image_bytes: int = Field(
        default=64 << 20, ge=1 << 10, le=1 << 30, description="an image of more bytes is an error"
    )

    @field_validator("names")
    @classmethod
    def _once(cls, value: list[str] | None) -> list[str] | None:
        if value is not None and len({name.lower() for name in value}) < len(value):
            raise ValueError("a name stands twice")
        return value


class DocumentColumns(BaseModel):
    """Names of the json fields, or parquet columns, of a document."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str | list[str] = Field(default="text", description="field of the text; several are joined as they are")
    url: str | None = Field(default="url", description="field of the address; may be absent in the records")

    def texts(self) -> list[str]:
        """The fields of the text."""
        return [self.text] if isinstance(self.text, str) else self.text


class DocumentsSource(_Source):
    """Documents: json lines (C4, mC4), parquet, plain text, WET, WARC; all but parquet also .gz, .zst, .bz2, .xz, and in tars."""

    type: Literal["documents"]
    path: str | list[str] = Field(
        description="file, folder, glob or fsspec URL (s3://, gs://, hf://), or a list of them"
    )
    format: Literal["auto", "jsonl", "parquet", "text", "wet", "warc"] = Field(
        default="auto",
        description="auto: by the file's name; what is no .parquet, .txt, .wet, .warc or .tar is json lines. Of a tar: what all "
        "its members are; auto: those whose names say it",
    )
    columns: DocumentColumns = DocumentColumns()
    text_documents: Literal["file", "blank_line"] = Field(
        default="file",
        description="plain text: a file is one document; or an empty line ends one. An origin names a document's first line",
    )
    text_lines: Literal["auto", "paragraphs", "wrapped"] = Field(
        default="auto",
        description="plain text: each line is a paragraph; or lines were broken at a width, and paragraphs are put together again; "
        "auto: by each file's first 1000 lines: hardly any over 100 columns, most of them full, sentences going on over line ends",
    )


class BitextColumns(BaseModel):
    """Where the two sides are in a row of tsv, jsonl or parquet: names, or in tsv positions from 0; null looks for them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    left: Column | None = Field(
        default=None,
        description="null: tsv: the header's language code, else the first column; jsonl, parquet: `translation`, else the code",
    )
    right: Column | None = Field(default=None, description="null: as for left; tsv without a header: the second column")
    id: Column | None = Field(default=None, description="an id that is kept in each pair's origin; null: none")

    @model_validator(mode="after")
    def _two(self) -> BitextColumns:
        if self.left is not None and self.left == self.right:
            raise ValueError("left and right are one column")
        return self


class BitextSource(_Source):
    """WMT-style bitext: two files side by side (`left`, `right`), or files that hold both sides (`path`)."""

    type: Literal["bitext"]
    role: Literal["translations", "back_translation"] = Field(
        default="translations",
        description="what a line is: a sentence and its translation; or a sentence and that translated back by someone before, "
        "both in one language (languages: [en, en])",
    )
    path: str | list[str] | None = Field(
        default=None, description="file, glob or fsspec URL, or a list of them, each with both sides"
    )
    left: str | None = Field(default=None, description="file or fsspec URL of the one side")
    right: str | list[str] | None = Field(
        default=None, description="file or fsspec URL of the other side; a list: several references of `left`"
    )
    languages: tuple[Language, Language] = Field(
        description="BCP 47 codes of left and right, e.g. [de, en]; en takes a file's en-US too"
    )
    format: Literal["auto", "lines", "sgm", "tsv", "pipes", "jsonl", "parquet", "moses_zip", "tmx", "wmt_xml"] = Field(
        default="auto",
        description="auto: by name, else by the first bytes. Of left and right: lines (line n translates line n; plain or "
        "compressed), sgm (WMT's src and ref). Of path: tsv, pipes (left ||| right), jsonl, parquet (Hugging Face's "
        "`translation` or columns), moses_zip (OPUS), tmx, wmt_xml (src and ref; what systems made is left out)",
    )
    columns: BitextColumns = BitextColumns()
    tokenized: Tokenized | tuple[Tokenized, Tokenized] = Field(
        default="auto",
        description="whether the text is tokenised (`i 'll go .`) and has to be put together again; [left, right] where they "
        "differ; auto: by the first 1000 pairs of each file: end marks, commas or Chinese and Japanese characters stand apart",
    )

    @field_validator("languages")
    @classmethod
    def _fit_the_role(cls, value: tuple[str, str], info: ValidationInfo) -> tuple[str, str]:
        left, right = value
        if info.data.get("role") == "translations" and left == right:
            raise ValueError("the two languages of a bitext must differ, but for role back_translation")
        if info.data.get("role") == "back_translation" and left.split("-")[0].lower() != right.split("-")[0].lower():
            raise ValueError("what was translated back is in the sentence's own language: name it twice")
        return value

    @model_validator(mode="after")
    def _sides(self) -> BitextSource:
        apart = self.left is not None or self.right is not None
        if apart == (self.path is not None) or (self.left is None) != (self.right is None) or self.right == []:
            raise ValueError("a bitext needs either path, or left and right")
        if self.format != "auto" and (self.format in SIDE_BY_SIDE) != apart:
            needs = "left and right" if self.format in SIDE_BY_SIDE else "path"
            raise ValueError(f"format {self.format} needs {needs}")
        return self

    @property
    def rights(self) -> list[str]:
        """The files of the right side; empty where `path` is given."""
        return [self.right] if isinstance(self.right, str) else list(self.right or [])

    def sides(self) -> tuple[Tokenized, Tokenized]:
        """`tokenized` of left and of right."""
        return self.tokenized if isinstance(self.tokenized, tuple) else (self.tokenized, self.tokenized)


Source = Annotated[ImageTextSource | DocumentsSource | BitextSource, Field(discriminator="type")]
