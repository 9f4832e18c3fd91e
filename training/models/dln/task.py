"""Training a DLN on triplets."""

from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor, nn

from registry.catalog import DLN as SPEC
from training.engine.task import Networks, SummaryRow, TrainedModel
from training.models.backbones.deviation import BackboneConfig
from training.models.backbones.pretrained import start_from, start_identity
from training.models.dln.config import DLNRecipe
from training.models.dln.crowd_layer import CrowdLayer
from training.models.dln.network import DLN
from training.models.triplets.loss import AnnotatorEmbeddings
from training.models.triplets.task import TripletTask


class DLNTask(TripletTask):
    """Trains a DLN together with its crowd layer."""

    spec = SPEC
    recipe: DLNRecipe

    @property
    def backbone(self) -> BackboneConfig:
        """The backbone of the branches."""
        return self.recipe.network.backbone

    @cached_property
    def dln(self) -> DLN:
        """The network, its branches started from identity weights or from the recipe's version."""
        torch.manual_seed(self.recipe.seed)
        dln = DLN(self.recipe.network)
        start_identity(dln.pair, self.recipe.network.backbone, self.recipe.identity_weights)
        if self.recipe.start:
            start_from(dln, self.recipe.start)
        return dln

    @cached_property
    def crowd(self) -> CrowdLayer:
        """The annotators' biases."""
        recipe = self.recipe
        return CrowdLayer(self.dataset.annotators, recipe.network.dims, recipe.crowd)

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The DLN and the crowd layer."""
        return {"dln": self.dln, "crowd": self.crowd}

    def summary_rows(self) -> dict[str, SummaryRow]:
        """Return both branches, the normalisation and the head."""
        network = DLN(self.recipe.network)
        face, deviation = self.example(), torch.rand(1, network.pair.width)
        return {
            "face branch": SummaryRow(network.pair.face, face),
            "identity branch (frozen)": SummaryRow(network.pair.identity, face),
            "normalisation of the deviation": SummaryRow(network.norm, deviation),
            f"polynomial head of order {self.recipe.network.order}": SummaryRow(
                network.head, deviation
            ),
        }

    def annotator_embeddings(
        self, networks: Networks, faces: Float[Tensor, "batch 3 h w"]
    ) -> AnnotatorEmbeddings:
        """Return the outputs of the crowd layer, its penalty weighted."""
        outputs: AnnotatorEmbeddings = networks["crowd"](networks["dln"](faces)["expression"])
        return outputs._replace(penalty=self.recipe.crowd_penalty * outputs.penalty)

    def export(self, networks: Networks) -> TrainedModel:
        """Return the DLN without its crowd layer."""
        dln = networks["dln"]
        return TrainedModel(network=dln, config={"network": self.recipe.network}, crop=self.crop)
