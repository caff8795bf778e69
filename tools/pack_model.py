"""Packs a trained model for shipping: half precision, safetensors, a limit on its size.

    python tools/pack_model.py runs/interpolation/model --output scenetex/weights/mini --limit 60

Files in the output folder that are not the model's, such as its card, stay.
"""

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import tyro

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scenetex.cli.guarded import guarded
from scenetex.cli.parsing import parse
from scenetex.errors import InputError
from scenetex.files.output import naming, sweep, write_files
from scenetex.process.console import say
from scenetex.process.interrupt import as_process


@dataclass
class Arguments:
    """Packs a trained model for shipping."""

    model: tyro.conf.Positional[Path]
    """Model folder in diffusers layout."""
    output: Path
    """Folder to write."""
    panorama: Path | None = None
    """Folder of the same model trained for panoramas: its blocks go with it."""
    limit: float = 60.0
    """Megabytes it may have."""


def main() -> int:
    """Runs the command; the exit code."""

    def work() -> int:
        import torch

        from scenetex.models.block_folder import save_blocks
        from scenetex.pipelines import MVDiffusionPanoramaPipeline, MVDiffusionPipeline
        from scenetex.pipelines.loading import quiet_loading
        from scenetex.pipelines.mvdiffusion_panorama import BLOCKS

        arguments = parse(Arguments, "pack_model", None)
        with TemporaryDirectory() as folder, quiet_loading():
            packed = Path(folder) / "model"
            MVDiffusionPipeline.from_pretrained(arguments.model).to(torch.float16).save_pretrained(packed)
            if arguments.panorama is not None:
                ring = MVDiffusionPanoramaPipeline.from_pretrained(arguments.panorama).to(torch.float16)
                save_blocks(ring.unet, packed / BLOCKS)
            for path in (packed / "model_index.json", *packed.rglob("config.json")):
                # Where it was on the machine that trained it.
                config = json.loads(path.read_text())
                config.pop("_name_or_path", None)
                path.write_text(json.dumps(config, indent=2) + "\n")
            size = sum(path.stat().st_size for path in packed.rglob("*") if path.is_file()) / 2**20
            if size > arguments.limit:
                raise InputError(f"{arguments.model}: packed it has {size:.1f} MB, more than {arguments.limit:g}")
            with naming(arguments.output):
                _put(packed, arguments.output)
        say(f"{arguments.output}: {size:.1f} MB")
        return 0

    return guarded("pack_model", work)


def _put(packed: Path, output: Path) -> None:
    """Copies the parts to where there are none yet: those of an earlier call nobody can tell from other people's."""
    there = next((output / part.name for part in packed.iterdir() if (output / part.name).exists()), None)
    if there is not None:
        raise InputError(f"{there}: is there already; delete the old parts first, or choose another folder")
    output.mkdir(parents=True, exist_ok=True)
    sweep(output)
    for part in sorted(packed.iterdir(), key=lambda path: path.is_file()):
        if part.is_dir():
            partial = output / f".{part.name}.{uuid4().hex[:12]}.partial"
            shutil.copytree(part, partial)
            partial.rename(output / part.name)
        else:
            write_files({output / part.name: part.read_bytes()})


if __name__ == "__main__":
    sys.exit(as_process(main))
