"""Pages of the user guide as the tests see them: fenced blocks, and comments before them that say how they are run.

A comment `<!-- test: ... -->` holds one instruction a line, for the block after it:

    make KIND PATH       something to work on, see `doc_material`
    sh COMMAND           done before the block
    add COMMAND OPTIONS  options that `scenetex COMMAND` gets from here to the end of the page
    exit CODE            the exit code of the block's last command, where it is not 0
    until TEXT           the command serves: it is interrupted once it has printed that
    needs MODULE         where that is not installed, options are checked and nothing is run
    not run: REASON      options are checked and nothing is run
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"<!-- test:(.*?)-->", re.DOTALL)
_WORDS = ("make", "sh", "add", "exit", "until", "needs", "not")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        line: of the page, from 1, that its code starts on.
        language: "sh", "python" or "text": what the block before it prints.
        code: its text.
        notes: the instructions before it, (word, rest).
    """

    line: int
    language: str
    code: str
    notes: tuple[tuple[str, str], ...]

    def note(self, word: str) -> str | None:
        """The rest of the first instruction of that word."""
        return next((rest for found, rest in self.notes if found == word), None)

    def commands(self) -> list[str]:
        """The shell commands of the block, those over several lines in one; no empty lines, no comments."""
        lines = self.code.replace("\\\n", " ").splitlines()
        return [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]


def read_blocks(page: Path, languages: tuple[str, ...] = ("sh", "python", "text")) -> list[Block]:
    """All fenced blocks of a page; a block of another language, or an unknown instruction, is an error."""
    text, blocks, end = page.read_text(), [], 0
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start(2)) + 1
        assert match[1] in languages, f"{page}:{line}: a block of '{match[1]}'; choose one of {languages}"
        given = [note.strip() for found in _COMMENT.findall(text[end : match.start()]) for note in found.splitlines()]
        notes = tuple((note.partition(" ")[0], note.partition(" ")[2]) for note in given if note)
        assert all(word in _WORDS for word, _ in notes), f"{page}:{line}: {notes}"
        blocks.append(Block(line, match[1], match[2], notes))
        end = match.end()
    return blocks


def prose(page: Path) -> str:
    """A page without its blocks and comments."""
    return _COMMENT.sub("", _FENCE.sub("", page.read_text()))


def scenetex_calls(command: str) -> list[list[str]]:
    """Arguments of the calls of scenetex that a shell command holds, with those of `tools/texture_scene.py`."""
    words = shlex.split(command, comments=True)
    calls = []
    for i, word in enumerate(words):
        if word == "scenetex" and (i == 0 or words[i - 1] in ("-m", "srun", "&&") or "=" in words[i - 1]):
            calls.append(words[i + 1 :])
        elif word == "tools/texture_scene.py":
            calls.append(["texture", *words[i + 1 :]])
    return [call[: call.index("&&")] if "&&" in call else call for call in calls]
