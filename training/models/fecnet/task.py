"""Training FECNet on triplets."""

from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor, nn

from registry.catalog import FECNET as SPEC
from training.engine.task import Networks, SummaryRow, TrainedModel
from training.models.backbones.deviation import BackboneConfig
from training.models.backbones.pretrained import start_face
from training.models.fecnet.config import FECNetRecipe
from training.models.fecnet.network import FECNet
from training.models.triplets.loss import AnnotatorEmbeddings
from training.models.triplets.task import TripletTask

PUBLISHED = (
    "The 223.48 M parameters and 8.18 GMac published for FECNet can't be reproduced from its "
    "description"
)


class FECNetTask(TripletTask):
    """Trains the head on frozen face features; annotators have no biases."""

    spec = SPEC
    recipe: FECNetRecipe

    @property
    def backbone(self) -> BackboneConfig:
        """The backbone of the frozen face network."""
        return self.recipe.network.backbone

    @cached_property
    def fecnet(self) -> FECNet:
        """The network, its face network started from identity weights."""
        torch.manual_seed(self.recipe.seed)
        fecnet = FECNet(self.recipe.network)
        start_face(fecnet.face, self.recipe.network.backbone, self.recipe.identity_weights)
        return fecnet

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The network."""
        return {"fecnet": self.fecnet}

    def summary_rows(self) -> dict[str, SummaryRow]:
        """Return the face network and the head."""
        network, face = FECNet(self.recipe.network), self.example()
        with torch.inference_mode():
            maps = network.maps(face)
        return {
            "face network (frozen)": SummaryRow(network.face, face),
            "dense block, hidden layer, embedding": SummaryRow(network.head, maps, PUBLISHED),
        }

    def annotator_embeddings(
        self, networks: Networks, faces: Float[Tensor, "batch 3 h w"]
    ) -> AnnotatorEmbeddings:
        """Return the embeddings, the same for every annotator."""
        expression = networks["fecnet"](faces)["expression"]
        embeddings = expression.expand(self.dataset.annotators, -1, -1)
        return AnnotatorEmbeddings(embeddings, expression.new_zeros(()))

    def export(self, networks: Networks) -> TrainedModel:
        """Return the network."""
        config = {"network": self.recipe.network}
        return TrainedModel(network=networks["fecnet"], config=config, crop=self.crop)
