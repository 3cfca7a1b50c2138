"""BERT's tokenizer: words into the pieces of a vocabulary."""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Mapping
from pathlib import Path


def read_vocabulary(file: Path) -> dict[str, int]:
    """The number of each piece: its line."""
    return {piece: number for number, piece in enumerate(file.read_text(encoding="utf-8").splitlines())}


def encode(text: str, vocabulary: Mapping[str, int], longest: int) -> list[int]:
    """[CLS], the text's pieces as far as they fit, and [SEP]: at most `longest` numbers."""
    pieces = [piece for word in _words(text) for piece in _pieces(word, vocabulary)]
    return [vocabulary["[CLS]"], *pieces[: longest - 2], vocabulary["[SEP]"]]


def _words(text: str) -> list[str]:
    """Lower case without accents, cut at spaces and around each punctuation mark."""
    plain = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(c) != "Mn")
    return "".join(f" {c} " if _is_punctuation(c) else c for c in plain).split()


def _is_punctuation(character: str) -> bool:
    return character in string.punctuation or unicodedata.category(character).startswith("P")


def _pieces(word: str, vocabulary: Mapping[str, int]) -> list[int]:
    """The longest piece that the word begins with, then of what is left; one unknown where there is none."""
    found, start = [], 0
    while start < len(word):
        mark = "##" if start else ""
        end = next((end for end in range(len(word), start, -1) if mark + word[start:end] in vocabulary), None)
        if end is None:
            return [vocabulary["[UNK]"]]
        found.append(vocabulary[mark + word[start:end]])
        start = end
    return found
