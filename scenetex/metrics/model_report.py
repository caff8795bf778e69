"""A model's figures over all rooms, with the goals that the small model was made for."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from .detail_scores import OCTAVES
from .prompt_adherence import Answer, obeyed_prompts
from .room_scores import VARIANTS, RoomScore
from .score_table import Figure


def model_figures(scores: Sequence[RoomScore], answers: Sequence[Answer]) -> list[Figure]:
    """The table of a model: consistency, detail, spectrum, edges and obedience.

    Overlap PSNR is the mean over the pairs of all rooms; detail, contrast and edges are means over the rooms before
    their ratio is taken.
    """
    psnr = {name: _mean([s.psnr[name] for s in scores]) for name in (*VARIANTS, "truth", "autoencoded")}
    keys, between = _mean([s.keys for s in scores]), _mean([s.between for s in scores])

    def ratio(values) -> float:
        mine, truth = (np.nanmean([values(s, name) for s in scores]) for name in ("generated", "truth"))
        return float(mine / truth) if truth else float("nan")

    def ratio_of_hits() -> float:
        mine, truth = (_mean([s.recognised[name] for s in scores]) for name in ("generated", "truth"))
        return mine / truth if truth else float("nan")

    octaves = [
        Figure(
            f"octave_{k + 1}", f"energy of {2 << k} to {4 << k} pixels / truth's", ratio(partial(_octave, k)), "", 0.8
        )
        for k in range(OCTAVES)
    ]

    def obeyed(part: str) -> float:
        counted = [a.obeyed for a in answers if a.part == part]
        return float(np.mean(counted)) if counted else float("nan")

    blocks = psnr["generated"] - psnr["no_blocks"]
    return [
        Figure("pairs", "pairs of overlapping views", float(sum(len(s.psnr["truth"]) for s in scores))),
        Figure("psnr_generated", "overlap PSNR, generated", psnr["generated"], "dB"),
        Figure("psnr_truth", "overlap PSNR, truth", psnr["truth"], "dB"),
        Figure("psnr_autoencoded", "overlap PSNR, truth through the autoencoder", psnr["autoencoded"], "dB"),
        Figure("psnr_nothing", "overlap PSNR, blocks, noise and fusion off", psnr["nothing"], "dB"),
        Figure("psnr_no_blocks", "overlap PSNR, blocks off", psnr["no_blocks"], "dB"),
        Figure("psnr_blocks_only", "overlap PSNR, noise and fusion off", psnr["blocks_only"], "dB"),
        Figure("ratio_truth", "generated / truth", psnr["generated"] / psnr["truth"], "", 0.85),
        Figure("ratio_autoencoded", "generated / autoencoded truth", psnr["generated"] / psnr["autoencoded"], "", 0.8),
        Figure("gain", "gain of blocks, noise and fusion", psnr["generated"] - psnr["nothing"], "dB", 4.0),
        Figure("gain_blocks_alone", "gain of the blocks alone", psnr["blocks_only"] - psnr["nothing"], "dB", 2.0),
        Figure("gain_blocks", "gain of the blocks, beside noise and fusion", blocks, "dB"),
        Figure("contrast_ratio", "standard deviation / truth's", ratio(lambda s, n: s.detail[n].contrast), "", 0.9),
        Figure("sharpness_ratio", "sharpness / truth's", ratio(lambda s, n: s.detail[n].sharpness), "", 0.8),
        Figure("inner_ratio", "sharpness inside surfaces / truth's", ratio(lambda s, n: s.inner[n]), "", 0.8),
        *octaves,
        Figure("blockiness_ratio", "blockiness / truth's", ratio(lambda s, n: s.blocks[n])),
        Figure("recognised_truth", "parts recognised in true views", _mean([s.recognised["truth"] for s in scores])),
        Figure("recognition_ratio", "parts recognised / truth's", ratio_of_hits(), "", 0.75),
        Figure("psnr_keys", "consecutive keyframes with each other", keys, "dB"),
        Figure("psnr_between", "views between with their keyframes", between, "dB"),
        Figure("gain_between", "views between over keyframes", between - keys, "dB", 0.0),
        Figure("edge_ratio", "edge agreement / truth's", ratio(lambda s, n: s.edges[n]), "", 0.9),
        Figure("obeyed_floor", "floors of the asked colour", obeyed("floor")),
        Figure("obeyed_walls", "walls of the asked colour", obeyed("walls")),
        Figure("obeyed_sofa", "sofas of the asked colour", obeyed("sofa")),
        Figure("obeyed", "prompts obeyed in all that they name", _share(answers), "", 22 / 24),
    ]


def room_rows(scores: Sequence[RoomScore], answers: Sequence[Answer]) -> dict:
    """The same room by room and prompt by prompt, for JSON."""
    rooms = [
        {
            "pairs": len(s.psnr["truth"]),
            "overlap_psnr": {name: _mean([values]) for name, values in s.psnr.items()},
            "psnr_keys": _mean([s.keys]),
            "psnr_between": _mean([s.between]),
            "sharpness": {name: d.sharpness for name, d in s.detail.items()},
            "contrast": {name: d.contrast for name, d in s.detail.items()},
            "edge_agreement": s.edges,
            "inner_edges": s.inner,
            "octaves": {name: values.tolist() for name, values in s.octaves.items()},
            "blockiness": s.blocks,
            "recognised": {name: _mean([hits]) for name, hits in s.recognised.items()},
        }
        for s in scores
    ]
    return {"rooms": rooms, "prompts": [a.row() for a in answers]}


def _share(answers: Sequence[Answer]) -> float:
    prompts = len({a.prompt for a in answers})
    return obeyed_prompts(answers) / prompts if prompts else float("nan")


def _octave(k: int, score: RoomScore, name: str) -> float:
    return score.octaves[name][k]


def _mean(values: Sequence[np.ndarray]) -> float:
    """Mean of all values, NaN where there are none."""
    joined = np.concatenate(values)
    return float(joined.mean()) if len(joined) else float("nan")
