"""`croissant.json`: the data set as other tools for data sets read it (Croissant 1.0, with its RAI fields)."""

from pathlib import PurePosixPath
from typing import Any

from sface_data.dataset.manifest import Manifest, ShardInfo
from sface_data.release.card import counts
from sface_data.release.licences import LICENCES
from sface_data.release.templates import render, sections

CROISSANT = "croissant.json"
_MEDIA_TYPES = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
# What the specification of Croissant 1.0 asks for at the head of a file, and the vocabulary of its RAI fields.
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
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


def croissant(manifest: Manifest, licence: str) -> dict[str, Any]:
    """The description of a data set, as JSON-LD. A function of the manifest and the licence, nothing else.

    Every shard is a file with its SHA-256; images and labels are two sets of files inside the shards. The record
    set `images` holds both: its key, the name of a file up to the dot, refers to the key of `labels`.
    """
    texts = sections(render("dataset_rai.md.j2", plan=manifest.plan, counts=counts(manifest)))
    description, citation = texts.pop("description"), texts.pop("citation")
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": "synthetic-faces",
        "description": description,
        "license": f"https://spdx.org/licenses/{LICENCES[licence]}.html",
        "creator": {"@type": "Organization", "name": "The users of sface-data"},
        "citeAs": citation,
        "keywords": ["synthetic", "face recognition", "biometrics", "StyleGAN2-ADA"],
        "isLiveDataset": False,
        "version": "1.0.0",
        "identifier": f"sha256:{manifest.plan.fingerprint}",
        **{f"rai:{name}": text for name, text in texts.items()},
        "distribution": [*map(_file, manifest.shards), *_file_sets(manifest)],
        "recordSet": [_labels(), _images(manifest.plan.image.format)],
    }


def _file(shard: ShardInfo) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": PurePosixPath(shard.filename).name,
        "name": PurePosixPath(shard.filename).name,
        "contentUrl": shard.filename,
        "contentSize": f"{shard.num_bytes} B",
        "encodingFormat": "application/x-tar",
        "sha256": shard.sha256,
    }


def _file_sets(manifest: Manifest) -> list[dict[str, Any]]:
    form = manifest.plan.image.format
    shards = [{"@id": PurePosixPath(shard.filename).name} for shard in manifest.shards]
    sets = (("image-files", form, _MEDIA_TYPES[form]), ("label-files", "cls", "text/plain"))
    return [
        {
            "@type": "cr:FileSet",
            "@id": name,
            "name": name,
            "containedIn": shards[0] if len(shards) == 1 else shards,
            "encodingFormat": media,
            "includes": f"*.{extension}",
        }
        for name, extension, media in sets
    ]


def _labels() -> dict[str, Any]:
    label = _field("labels/label", "sc:Integer", "label-files", {"fileProperty": "content"})
    return _record_set("labels", "The class of each image, by key.", [_key("labels", "label-files"), label])


def _images(form: str) -> dict[str, Any]:
    key = _key("images", "image-files")
    key["references"] = {"field": {"@id": "labels/key"}}
    image = _field("images/image", "sc:ImageObject", "image-files", {"fileProperty": "content"})
    label = {**_field("images/label", "sc:Integer"), "source": {"field": {"@id": "labels/label"}}}
    return _record_set("images", f"The images ({form}), each with its class.", [key, image, label])


def _key(records: str, files: str) -> dict[str, Any]:
    # Readers that join apply the expression to keys once more: it has to take them as they are, too.
    key = _field(f"{records}/key", "sc:Text", files, {"fileProperty": "filename"})
    key["source"]["transform"] = {"regex": r"^([0-9]+_[0-9]+).*$"}
    return key


def _field(name: str, kind: str, files: str = "", extract: dict[str, Any] | None = None) -> dict[str, Any]:
    field: dict[str, Any] = {"@type": "cr:Field", "@id": name, "name": name.partition("/")[2], "dataType": kind}
    if files:
        field["source"] = {"fileSet": {"@id": files}, "extract": extract}
    return field


def _record_set(name: str, description: str, fields: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": description,
        "key": {"@id": f"{name}/key"},
        "field": fields,
    }
