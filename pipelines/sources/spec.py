"""What a recipe says of its raw inputs. One model a type of source; the readers beside this module follow them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]{0,63}$")]
Language = Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]


class _Source(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    max_record_bytes: int = Field(
        default=4 << 20,
        ge=1 << 10,
        le=1 << 30,
        description="a line or text field above this is an error record (default 4 MiB)",
    )


class ImageTextColumns(BaseModel):
    """Names of the columns (parquet, csv, tsv) or json fields (webdataset); null looks for the usual names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image: str | None = Field(
        default=None, description="bytes, or a struct with `bytes`; usual: image, jpg, png, image_bytes"
    )
    text: str | None = Field(default=None, description="one text; usual: caption, text, alt, TEXT, title")
    texts: str | None = Field(default=None, description="list of strings or of {lang, text}; usual: texts, captions")
    url: str | None = Field(default=None, description="usual: url, image_url")
    language: str | None = Field(default=None, description="language of `text`; usual: lang, language")


class ImageTextSource(_Source):
    """Photographs with their alt-texts, or a table of alt-texts without photographs (which is filtered and kept as a table)."""

    type: Literal["image_text"]
    path: str | list[str] = Field(description="file, glob or fsspec URL, or a list of them")
    format: Literal["auto", "parquet", "webdataset", "csv", "tsv"] = Field(
        default="auto", description="auto: by the file's name"
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


class DocumentColumns(BaseModel):
    """Names of the json fields, or parquet columns, of a document."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str | list[str] = Field(default="text", description="field of the text; several are joined as they are")
    url: str | None = Field(default="url", description="field of the address; may be absent in the records")

    def texts(self) -> list[str]:
        """The fields of the text."""
        return [self.text] if isinstance(self.text, str) else self.text


class DocumentsSource(_Source):
    """Documents: json lines (C4, mC4), parquet, plain text, WET, WARC; text formats plain or compressed (.gz, .zst)."""

    type: Literal["documents"]
    path: str | list[str] = Field(description="file, glob or fsspec URL (s3://, gs://, hf://), or a list of them")
    format: Literal["auto", "jsonl", "parquet", "text", "wet", "warc"] = Field(
        default="auto", description="auto: by the file's name; what is no .parquet, .txt, .wet or .warc is json lines"
    )
    columns: DocumentColumns = DocumentColumns()
    text_documents: Literal["file", "blank_line"] = Field(
        default="file",
        description="plain text: a file is one document; or an empty line ends one. An origin names a document's first line",
    )


class BitextSource(_Source):
    """WMT-style bitext: two text files (plain or .gz) in which line n of one translates line n of the other."""

    type: Literal["bitext"]
    left: str = Field(description="file or fsspec URL of the one side")
    right: str = Field(description="file or fsspec URL of the other side")
    languages: tuple[Language, Language] = Field(description="BCP 47 codes of left and right, e.g. [de, en]")
    format: Literal["auto", "lines"] = "auto"

    @field_validator("languages")
    @classmethod
    def _differ(cls, value: tuple[str, str]) -> tuple[str, str]:
        if value[0] == value[1]:
            raise ValueError("the two languages of a bitext must differ")
        return value


Source = Annotated[ImageTextSource | DocumentsSource | BitextSource, Field(discriminator="type")]
