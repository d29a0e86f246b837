"""The public functions and types, by the module that each is defined in. `sface_data` itself gives them all.

They are imported at first use, so that importing the package takes no time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sface_data.auditing.certificate import Certificate as Certificate
    from sface_data.dataset.manifest import Manifest as Manifest
    from sface_data.dataset.plan import SamplePlan as SamplePlan
    from sface_data.embedding.backbone_file import BackboneFile as BackboneFile
    from sface_data.embedding.embeddings import EmbeddingSet as EmbeddingSet
    from sface_data.embedding.embeddings_folder import EmbeddingFolder as EmbeddingFolder
    from sface_data.embedding.export import export_embedder as export_embedder
    from sface_data.embedding.open import DEMO_EMBEDDER as DEMO_EMBEDDER
    from sface_data.embedding.run import embed as embed
    from sface_data.errors import BadInput as BadInput
    from sface_data.errors import CheckFailed as CheckFailed
    from sface_data.errors import SfaceDataError as SfaceDataError
    from sface_data.generation.evaluate_generator import evaluate_generator as evaluate_generator
    from sface_data.generator.generator_file import DEMO_GENERATOR as DEMO_GENERATOR
    from sface_data.generator.generator_file import GeneratorFile as GeneratorFile
    from sface_data.generator.generator_file import convert_generator as convert_generator
    from sface_data.generator.generator_file import load_generator as load_generator
    from sface_data.generator.run import GeneratorRun as GeneratorRun
    from sface_data.generator.run import train_generator as train_generator
    from sface_data.recognition.evaluation import Evaluation as Evaluation
    from sface_data.recognition.evaluation import evaluate_recognition as evaluate_recognition
    from sface_data.recognition.run import RecognitionRun as RecognitionRun
    from sface_data.recognition.run import train_recognition as train_recognition
    from sface_data.release.audit import audit as audit
    from sface_data.release.contents import write_card as write_card
    from sface_data.release.export import Export as Export
    from sface_data.release.export import export as export
    from sface_data.release.generate import FaceDataset as FaceDataset
    from sface_data.release.generate import generate as generate
    from sface_data.release.load import load as load
    from sface_data.release.merge import merge as merge
    from sface_data.release.preview import preview as preview
    from sface_data.release.problems import Problem as Problem
    from sface_data.release.publish import Publication as Publication
    from sface_data.release.publish import publish as publish
    from sface_data.release.validate import Validation as Validation
    from sface_data.release.validate import validate as validate
    from sface_data.rendered.folder import RenderRequest as RenderRequest
    from sface_data.rendered.run import render as render

# In the order of the documentation, whose examples go on from one another: data sets, networks, types, errors.
MODULES = {
    "generate": "release.generate",
    "merge": "release.merge",
    "load": "release.load",
    "validate": "release.validate",
    "preview": "release.preview",
    "write_card": "release.contents",
    "render": "rendered.run",
    "embed": "embedding.run",
    "audit": "release.audit",
    "export": "release.export",
    "publish": "release.publish",
    "train_generator": "generator.run",
    "evaluate_generator": "generation.evaluate_generator",
    "load_generator": "generator.generator_file",
    "convert_generator": "generator.generator_file",
    "train_recognition": "recognition.run",
    "evaluate_recognition": "recognition.evaluation",
    "export_embedder": "embedding.export",
    "DEMO_GENERATOR": "generator.generator_file",
    "DEMO_EMBEDDER": "embedding.open",
    "FaceDataset": "release.generate",
    "Manifest": "dataset.manifest",
    "SamplePlan": "dataset.plan",
    "Validation": "release.validate",
    "Problem": "release.problems",
    "Certificate": "auditing.certificate",
    "Publication": "release.publish",
    "Export": "release.export",
    "RenderRequest": "rendered.folder",
    "EmbeddingFolder": "embedding.embeddings_folder",
    "EmbeddingSet": "embedding.embeddings",
    "GeneratorRun": "generator.run",
    "GeneratorFile": "generator.generator_file",
    "RecognitionRun": "recognition.run",
    "Evaluation": "recognition.evaluation",
    "BackboneFile": "embedding.backbone_file",
    "SfaceDataError": "errors",
    "BadInput": "errors",
    "CheckFailed": "errors",
}


def __dir__() -> list[str]:
    return list(MODULES)


if not TYPE_CHECKING:  # type checkers know the names from above

    def __getattr__(name: str) -> Any:
        if name not in MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"sface_data.{MODULES[name]}"), name)
