"""Training of face recognition: labels, a teacher's embeddings, or both. One loop serves all recipes."""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sface_data.embedding.backbones import Dropout, create_backbone, on_device
from sface_data.embedding.torch_embedder import network_input
from sface_data.errors import BadInput
from sface_data.faces.base import Source
from sface_data.faces.face_list import FaceList
from sface_data.io.files import sha256_of_json
from sface_data.recognition.augment import augment
from sface_data.recognition.faces import face_batches
from sface_data.recognition.margin import Head, gather_batch
from sface_data.recognition.recipe import Recipe
from sface_data.recognition.sync_batchnorm import synchronise
from sface_data.recognition.teacher import Teacher
from sface_data.runtime.devices import DTYPES
from sface_data.training.checkpoint import check_settings, reading_checkpoint, write_checkpoint
from sface_data.training.distributed import ProcessGroup
from sface_data.training.random_numbers import BatchRandom

_FORMAT = "sface_data.recognition training/3"


@dataclass(frozen=True)
class Settings:
    """What the outcome of a run depends on.

    Attributes:
        seed: of initial weights, order and mirroring of the faces, augmentation and dropout.
        precision: of the backbone, a key of DTYPES.
        device: kind of device, which random numbers depend on.
        classes, faces: how many there are of those that are trained on.
        faces_sha256, order_sha256: of all faces of the source, see `FaceList`.
        left_out: how many of those cannot be decoded.
        teacher_sha256: of the teacher's file and how it is fed; empty without one.
    """

    recipe: Recipe
    seed: int
    precision: str
    device: str
    classes: int
    faces: int
    faces_sha256: str
    order_sha256: str
    left_out: int = 0
    teacher_sha256: str = ""

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        source: Source,
        teacher: Teacher | None,
        seed: int,
        precision: str,
        device: torch.device,
        listed: FaceList | None = None,
    ) -> "Settings":
        """The settings of a run on the faces of a source.

        Args:
            listed: all faces, where those of the source are the ones that can be decoded.
        """
        listed = FaceList.of(source) if listed is None else listed
        return cls(
            recipe=recipe,
            seed=seed,
            precision=precision,
            device=device.type,
            classes=len(source.class_names),
            faces=len(source),
            faces_sha256=listed.sha256,
            order_sha256=listed.order_sha256,
            left_out=len(listed) - len(source),
            teacher_sha256="" if teacher is None else teacher.sha256,
        )


class Training:
    """A run between two steps: network, head, optimisers, random numbers and progress.

    Attributes:
        images: shown so far.

    Args:
        source: what is trained on.
        settings: see there.
        device: where it is trained.
        group: the processes that share the work.
        teacher: whose embeddings are learned, where the recipe has a weight for it.
        threads: that decode ahead.

    Raises:
        BadInput: if recipe, faces, teacher and number of processes do not fit.
    """

    def __init__(
        self,
        source: Source,
        settings: Settings,
        device: torch.device,
        group: ProcessGroup,
        teacher: Teacher | None = None,
        threads: int = 2,
    ) -> None:
        recipe = settings.recipe
        _check(recipe, source, group, teacher)
        self.settings, self.device, self.group, self.teacher = settings, device, group, teacher
        self.dtype = DTYPES[settings.precision]
        self.batches = face_batches(source, recipe.batch, recipe.mirror, settings.seed, group, threads)
        self.random = BatchRandom(settings.seed, device, group.rank, group.size)
        torch.manual_seed(settings.seed)
        self.network = create_backbone(recipe.backbone, recipe.dimensions, recipe.dropout)
        self.head: Head | None = None
        if recipe.class_weight:
            self.head = Head(recipe.margin, settings.classes, recipe.dimensions, group).to(device)
        self.network = synchronise(self.network, device, group)
        self.network = on_device(self.network, device)
        for module in self.network.modules():
            if isinstance(module, Dropout):
                module.uniform = lambda like: self.random.uniform_like(like)
        self.optimizers = {"network": _descent(self.network, recipe)}
        if self.head is not None:
            self.optimizers["head"] = _descent(self.head, recipe)
        self.images = 0

    @property
    def epoch(self) -> float:
        """How many times all faces have been shown."""
        return self.images / self.settings.faces

    @property
    def total(self) -> int:
        """Images of the whole run: its epochs, and what fills the last batch."""
        recipe = self.settings.recipe
        return math.ceil(round(recipe.epochs * self.settings.faces, 6) / recipe.batch) * recipe.batch

    def step(self, pixels: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Trains on one batch, and returns what was measured, each a tensor [].

        Args:
            pixels: of this process, uint8 [n,112,112,3].
            labels: of them, int64 [n].
        """
        recipe = self.settings.recipe
        images = network_input(pixels, self.device)
        if recipe.augment == "strong":
            images = augment(images, self.random)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            embeddings = self.network(images)
        loss, measured = self.loss(embeddings.float(), labels.to(self.device), images)
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
            for parameters in optimizer.param_groups:
                parameters["lr"] = recipe.rate(self.epoch)
        loss.backward()
        self.group.average_gradients(self.network.parameters())
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip)
        for optimizer in self.optimizers.values():
            optimizer.step()
        self.images += recipe.batch
        return {"loss": loss.detach(), **measured, "gradient_norm": norm}

    def loss(self, embeddings: Tensor, labels: Tensor, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of the recipe [], and its parts.

        Args:
            embeddings: of this process, float32 [n,D].
            labels: of them, int64 [n].
            images: as the network has seen them, float32 [n,3,112,112].
        """
        recipe, group = self.settings.recipe, self.group
        loss, measured = embeddings.new_zeros([]), {}
        if self.head is not None:
            normal = None
            if recipe.margin.name == "elasticface":
                normal = group.interleaved(self.random.normal(len(labels)))
            whole = gather_batch(embeddings, group)
            entropy = self.head.loss(whole, group.interleaved(labels), normal)
            loss = loss + recipe.class_weight * entropy
            measured["cross_entropy"] = entropy.detach()
        if self.teacher is not None:
            distance = transfer_loss(embeddings, self.teacher.embeddings(images))
            loss = loss + recipe.teacher_weight * distance
            measured["teacher_distance"] = distance.detach()
        return loss, measured

    def tensors(self) -> dict[str, Tensor]:
        """Weights, statistics and momentum of this process, by name."""
        found = {f"network {name}": tensor for name, tensor in self.network.state_dict().items()}
        if self.head is not None:
            found |= {f"head {name}": tensor for name, tensor in self.head.state_dict().items()}
        for name, optimizer in self.optimizers.items():
            for number, state in optimizer.state_dict()["state"].items():
                found[f"momentum {number} of the {name}"] = state["momentum_buffer"]
        return found

    def save(self, path: Path) -> None:
        """Writes everything that the next step depends on; all processes call it, the first one writes."""
        head: dict[str, Tensor] = {}
        if self.head is not None:  # as one process would hold it
            momentum = self.optimizers["head"].state_dict()["state"]
            head = dict(self.head.state_dict())
            head["weight"] = self.group.all_rows(self.head.weight, self.settings.classes)
            if momentum:
                head["velocity"] = self.group.all_rows(momentum[0]["momentum_buffer"], self.settings.classes)
        if self.group.rank == 0:
            content = {
                "images": self.images,
                "network": self.network.state_dict(),
                "optimizer": self.optimizers["network"].state_dict(),
                "head": head,
                "random": self.random.state,
            }
            write_checkpoint(path, _FORMAT, dataclasses.asdict(self.settings), content)

    def load(self, path: Path) -> None:
        """Goes on from what a run with the same settings saved, in any number of processes.

        Raises:
            BadInput: if the file is broken, or of a run with other settings, which are named.
        """
        with reading_checkpoint(path, _FORMAT) as content:
            check_settings(path, dataclasses.asdict(self.settings), content["settings"])
            self.images = content["images"]
            self.network.load_state_dict(content["network"])
            self.optimizers["network"].load_state_dict(content["optimizer"])
            self.random.state = content["random"]
            if self.head is not None:
                mine = slice(self.group.rank, None, self.group.size)
                head = content["head"]
                momentum = head.pop("velocity", None)
                self.head.load_state_dict({**head, "weight": head["weight"][mine]})
                if momentum is not None:
                    state = self.optimizers["head"].state_dict()
                    state["state"] = {0: {"momentum_buffer": momentum[mine].clone()}}
                    self.optimizers["head"].load_state_dict(state)

    def about(self) -> dict[str, Any]:
        """What the file of weights says of the run."""
        settings = self.settings
        return {
            "classes": settings.classes,
            "recipe": settings.recipe.objective,
            "epochs": round(self.epoch, 6),
            "faces_sha256": settings.faces_sha256,
            "faces_left_out": settings.left_out,
            "training_sha256": sha256_of_json(dataclasses.asdict(settings)),
        }


def transfer_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean square difference [], over batch and dimensions, of embeddings [N,D] after normalisation."""
    return F.mse_loss(F.normalize(student), F.normalize(teacher))


def check_teacher(recipe: Recipe, given: bool) -> None:
    """Raises BadInput if a recipe needs a teacher and none is given, or the reverse."""
    if recipe.teacher_weight and not given:
        raise BadInput(f"the recipe {recipe.objective} needs a teacher: name its file with --teacher")
    if given and not recipe.teacher_weight:
        raise BadInput(
            f"the recipe {recipe.objective} has no use for a --teacher; take kt or cls-kt, or leave it out"
        )


def _check(recipe: Recipe, source: Source, group: ProcessGroup, teacher: Teacher | None) -> None:
    if recipe.batch % group.size or recipe.batch // group.size < 2:
        raise BadInput(
            f"the batch is {recipe.batch}; it must be a multiple of the {group.size} processes, with at least two "
            "images for each"
        )
    if recipe.class_weight and len(source) == len(source.class_names):
        raise BadInput(
            f"{source.path}: one image for each of its {len(source)} classes, which tells nothing of what stays "
            "the same; give more images of a class, or learn from a teacher alone with --recipe kt"
        )
    check_teacher(recipe, teacher is not None)
    if teacher is not None and teacher.dimensions != recipe.dimensions:
        raise BadInput(
            f"{teacher.name}: its embeddings have {teacher.dimensions} dimensions, those of the network to be "
            f"trained {recipe.dimensions}; add --dimensions {teacher.dimensions} or take another teacher"
        )


def _descent(module: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    learned = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return torch.optim.SGD(
        learned, recipe.rate(0), momentum=recipe.momentum, weight_decay=recipe.weight_decay, foreach=True
    )
