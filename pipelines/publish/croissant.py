"""croissant.json of a version: MLCommons' description of a data set, with the sha256 of every shard."""

from __future__ import annotations

import json
import re
from typing import Any

from pipelines.dataset import SPLITS, DatasetManifest
from pipelines.publish.card import kinds_of, languages_of

CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_MEMBERS = (
    ("left", "left pixels: the photograph's own bytes, or the left text drawn"),
    ("right", "the right text as pixels"),
    ("text", "the right text"),
    (
        "rest",
        "a JSON object: key, kind, source, origin, url, left_text, left_lang, right_lang, scores, left_cut, right_cut",
    ),
)


def _patterns(kind: str, member: str) -> tuple[list[str], list[str]]:
    """Names of a member's files, and their media types.

    A key ends in a hex digit, so the left pattern passes by `<key>.text.png`; the reference reader ignores `excludes`.
    """
    if member == "left" and kind == "image_alt":
        return (
            ["*[0-9a-f].jpg", "*[0-9a-f].png", "*[0-9a-f].webp"],
            ["image/jpeg", "image/png", "image/webp"],
        )
    if member == "left":
        return ["*[0-9a-f].png"], ["image/png"]
    if member == "right":
        return ["*.text.png"], ["image/png"]
    return (["*.txt"], ["text/plain"]) if member == "text" else (["*.json"], ["application/json"])


def _file_object(path: str, size: int, sha256: str, encoding: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": path,
        "name": path,
        "contentUrl": path,
        "contentSize": f"{size} B",
        "encodingFormat": encoding,
        "sha256": sha256,
    }


def _file_set(kind: str, of: str, member: str, meaning: str, shards: list[str]) -> dict[str, Any]:
    includes, encodings = _patterns(kind, member)
    return {
        "@type": "cr:FileSet",
        "@id": f"{of}-{member}-files",
        "name": f"{of}-{member}-files",
        "description": f"{kind}: {meaning}",
        "containedIn": [{"@id": shard} for shard in shards],
        "encodingFormat": encodings if len(encodings) > 1 else encodings[0],
        "includes": includes if len(includes) > 1 else includes[0],
    }


def _field(name: str, description: str, data_type: str, source: dict[str, Any]) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": name,
        "name": name,
        "description": description,
        "dataType": data_type,
        "source": source,
    }


def _record_set(of: str, member: str, meaning: str) -> dict[str, Any]:
    name, files = f"{of}-{member}", {"@id": f"{of}-{member}-files"}
    key = {"fileSet": files, "extract": {"fileProperty": "filename"}, "transform": {"regex": r"^([0-9a-f]+)\."}}
    fields = [_field(f"{name}/key", "content hash of the pair; joins the record sets of a kind", "sc:Text", key)]
    content = {"fileSet": files, "extract": {"fileProperty": "content"}}
    data_type = "sc:ImageObject" if member in ("left", "right") else "sc:Text"
    fields.append(_field(f"{name}/{member}", meaning, data_type, content))
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": f"{of}: {meaning}, one record a pair",
        "key": {"@id": f"{name}/key"},
        "field": fields,
    }


def _told(manifest: DatasetManifest, field: str) -> str:
    value = (manifest.recipe.get("card") or {}).get(field)
    return " ".join(str(value)[:4000].split()) if value else ""


def croissant(manifest: DatasetManifest) -> bytes:
    """Writes croissant.json.

    Each kind has, in each split, four record sets (`left`, `right`, `text`, `rest`) that share the field `key`: the
    reference reader joins no more than two tables, so they are not joined here. There is no datePublished: a version
    holds no clock, and a made-up date would be a lie.

    Args:
        manifest: The version. `recipe["card"]` may hold title, description and license.

    Returns:
        JSON-LD in UTF-8; the same bytes for the same manifest.
    """
    kinds = kinds_of(manifest)
    counts = ", ".join(f"{kind} {count:,}" for kind, count in sorted(manifest.samples().items()))
    described = _told(manifest, "description") or "Pairs for models that read photographs and rendered text alike."
    shards = sorted((shard for shard in manifest.shards if shard.samples), key=lambda shard: shard.path)
    licence = _told(manifest, "license")
    title = _told(manifest, "title") or manifest.name
    cited = re.sub(r"[{}\\]", "", title)
    document: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": title,
        "description": f"{described} Version {manifest.version}; pairs: {counts or 'none'}.",
        "conformsTo": CONFORMS_TO,
        "license": licence if licence not in ("", "other") else "unknown",
        "keywords": ["pixel-only", "rendered text", "contrastive learning", "webdataset"],
        "version": f"{manifest.schema_version}.0.0+{manifest.version}",  # semantic, as the format asks
        "citeAs": f"@misc{{{manifest.name}, title = {{{cited}}}, note = {{version {manifest.version}}}}}",
    }
    if codes := languages_of(manifest):
        document["inLanguage"] = codes
    document["distribution"] = [
        *(_file_object(shard.path, shard.bytes, shard.sha256, "application/x-tar") for shard in shards),
        *(_file_object(t.path, t.bytes, t.sha256, "application/x-parquet") for t in manifest.parquet()),
    ]
    document["recordSet"] = []
    for kind, split in ((kind, split) for kind in kinds for split in SPLITS):
        paths = [shard.path for shard in shards if (shard.kind, shard.split) == (kind, split)]
        if split != "train" and not paths:
            continue
        name, beside = (kind, "") if split == "train" else (f"{kind}-{split}", f", of the split {split}")
        for member, meaning in _MEMBERS:
            document["distribution"].append(_file_set(kind, name, member, meaning + beside, paths))
            document["recordSet"].append(_record_set(name, member, meaning + beside))
    text = json.dumps(document, indent=1, ensure_ascii=False)
    return re.sub(r"[\ud800-\udfff]", "�", text).encode() + b"\n"
