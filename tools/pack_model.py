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

import tyro

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scenetex.cli import guarded, parse
from scenetex.console import say
from scenetex.errors import InputError


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
        from scenetex.pipelines.panorama import BLOCKS

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
            for part in packed.iterdir():
                if part.is_dir():
                    shutil.rmtree(arguments.output / part.name, ignore_errors=True)
                    shutil.copytree(part, arguments.output / part.name)
                else:
                    arguments.output.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(part, arguments.output)
        say(f"{arguments.output}: {size:.1f} MB")
        return 0

    return guarded("pack_model", work)


if __name__ == "__main__":
    sys.exit(main())
