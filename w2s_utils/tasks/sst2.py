"""SST-2: whether a sentence of a film review is positive, for readers who have the data.

The sentences come from the Stanford Sentiment Treebank [1]_, in the form of GLUE's ``train.tsv``.
They are not part of this project and are not downloaded by it.

References
----------
.. [1] R. Socher et al., "Recursive deep models for semantic compositionality over a sentiment
   treebank", EMNLP 2013.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from w2s_utils._files import require_file
from w2s_utils._validate import Array
from w2s_utils.features.embedding import Embed, pretrained, require

MAX_TOKENS = 128
"""Longer sentences are cut to this many tokens."""


@dataclass(frozen=True)
class Reviews:
    """Sentences of film reviews.

    Attributes
    ----------
    texts : tuple of M str
    labels : (M,) float64 array
        1 for positive, -1 for negative.
    """

    texts: tuple[str, ...]
    labels: Array


def load(file: str | Path) -> Reviews:
    """Read ``train.tsv``: a header, then a sentence, a tab and 0 or 1 on each line.

    Parameters
    ----------
    file : str or Path

    Returns
    -------
    Reviews

    Raises
    ------
    ValueError
        If there is no such file or a line has another form.
    """
    path = Path(file)
    require_file(path)
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be text in UTF-8: {error}.") from error
    # splitlines also breaks on rarer characters
    header, *lines = content.replace("\r\n", "\n").removesuffix("\n").split("\n")
    if header.split("\t") != ["sentence", "label"] or not lines:
        raise ValueError(
            f"{path} must begin with a line 'sentence', tab, 'label' and go on with sentences."
        )
    rows = [line.split("\t") for line in lines]
    for number, row in enumerate(rows, start=2):
        if len(row) != 2 or row[1] not in ("0", "1"):
            raise ValueError(f"{path} must have a sentence, a tab and 0 or 1 on line {number}.")
    return Reviews(
        texts=tuple(text.strip() for text, _ in rows),
        labels=np.array([1.0 if label == "1" else -1.0 for _, label in rows]),
    )


def backbone(folder: Path) -> Embed:
    """Load a frozen model of the BERT family.

    Parameters
    ----------
    folder : Path
        A local folder of the model and its tokenizer, as transformers writes it.

    Returns
    -------
    callable
        Maps sentences to the mean of the last layer over their tokens.

    Raises
    ------
    ValueError
        If the folder holds no model.
    ImportError
        If torch or transformers is not installed.
    """
    model = pretrained("AutoModel", folder)
    tokenizer = pretrained("AutoTokenizer", folder)
    torch = require("torch", "BERT features", "w2s-utils[vision]")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = model.eval().to(device)

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        tokens = tokenizer(
            list(texts), padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
        ).to(device)
        with torch.inference_mode():
            states = model(**tokens).last_hidden_state
        kept = tokens["attention_mask"].unsqueeze(-1)
        values: NDArray[np.float32] = ((states * kept).sum(1) / kept.sum(1)).cpu().numpy()
        return values

    return embed
