"""How the tiny model is trained: everything its weights depend on, and their key. Standard library only."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus" / "python-topics.txt"
# A change in any of these can change the weights.
CODE = ("checkpoint.py", "llama.py", "network.py", "recipe.py", "requirements.txt", "tokens.py", "train.py")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Sizes and schedule of one training run; the steps are fixed, so a busy machine gets the same model."""

    vocabulary: int = 1024
    hidden: int = 192
    layers: int = 3
    heads: int = 6
    key_value_heads: int = 2
    feed_forward: int = 512
    positions: int = 1024
    batch: int = 8
    window: int = 256
    steps: int = 330
    warm_up: int = 30
    learning_rate: float = 3e-3
    held_out: float = 0.05
    seed: int = 0

    def key(self, corpus: Path = CORPUS) -> str:
        """Sixteen hexadecimal digits over the text, the sizes, the training code and its pinned packages."""
        digest = hashlib.sha256(json.dumps(dataclasses.asdict(self), sort_keys=True).encode())
        for path in (corpus, *(HERE / name for name in CODE)):
            digest.update(f"\0{path.name}\0".encode())
            digest.update(path.read_bytes())
        return digest.hexdigest()[:16]
