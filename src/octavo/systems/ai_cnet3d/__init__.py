"""AI-CNet3D: see `network` for the paper and its shapes."""

from octavo.systems.ai_cnet3d.network import AICNet3D, Output
from octavo.systems.ai_cnet3d.published import load_published_checkpoint
from octavo.systems.ai_cnet3d.recipe import AICNet3DRecipe
from octavo.systems.ai_cnet3d.stages import build_network, stages

Recipe = AICNet3DRecipe

__all__ = ["AICNet3D", "AICNet3DRecipe", "Output", "Recipe", "build_network", "load_published_checkpoint", "stages"]
