"""Text in pieces equals text as a whole: detokenising and stop strings, over any input."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontend.stops import StopFilter
from frontend.tokenizer import Tokenizer
from tests.unit.frontend_rig import write_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    directory: Path = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(directory)
    return Tokenizer(directory)


@given(st.data())
def test_pieces_of_any_ids_join_to_the_text_of_all(tokenizer: Tokenizer, data: st.DataObject) -> None:
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocabulary_size - 1), max_size=60))
    sizes = data.draw(st.lists(st.integers(1, 5), min_size=len(ids), max_size=len(ids)))
    detokenizer, pieces, at = tokenizer.detokenizer(), list[str](), 0
    for size in sizes:
        pieces.append(detokenizer.feed(ids[at : at + size]))
        at += size
    pieces.append(detokenizer.flush())
    assert "".join(pieces) == tokenizer.decode(ids)


@given(st.text())
def test_pieces_of_any_text_are_whole_characters(tokenizer: Tokenizer, text: str) -> None:
    detokenizer = tokenizer.detokenizer()
    pieces = [detokenizer.feed([token]) for token in tokenizer.encode(text, special=False)]
    assert "".join(pieces) + detokenizer.flush() == text
    if "\ufffd" not in text:
        assert not any("\ufffd" in piece for piece in pieces)


@given(
    st.lists(st.text("ab<", max_size=4), max_size=12),
    st.lists(st.text("ab<", min_size=1, max_size=4), min_size=1, max_size=4),
)
def test_a_stop_string_is_found_wherever_the_pieces_break(pieces: list[str], stops: list[str]) -> None:
    whole = "".join(pieces)
    found = StopFilter(tuple(stops))
    shown, stopped = "", False
    for piece in pieces:
        text, stopped = found.feed(piece)
        shown += text
        if stopped:
            break
    if not stopped:
        shown += found.flush()
    # A stop string that ends first wins: a longer one that began earlier had not been decided yet.
    assert stopped == any(stop in whole for stop in stops)
    assert whole.startswith(shown)
    assert not any(stop in shown for stop in stops)
    if not stopped:
        assert shown == whole


def test_only_what_could_begin_a_stop_string_is_held_back() -> None:
    found = StopFilter(("END", "\n\n"))
    assert found.feed("the E") == ("the ", False)
    assert found.feed("N") == ("", False)
    assert found.feed("x\n") == ("ENx", False)
    assert found.feed("\n tail") == ("", True)


def test_text_without_stop_strings_passes_at_once() -> None:
    assert StopFilter(()).feed("E") == ("E", False)
