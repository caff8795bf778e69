"""What ComfyUI does in tests of the nodes: run by a Python that has what ComfyUI needs, not by pytest's.

    python comfyui_session.py COMFYUI NODES OUTPUT GRAPHS INTERRUPT

validates and executes the GRAPHS (API format, a JSON list) one after the other by one of ComfyUI's executors, with the
NODES loaded as it loads them, and prints what it said of each as one line of JSON, the last. INTERRUPT, 1 or 0: press
Cancel at the first step of progress.
"""

import asyncio
import json
import sys
from contextlib import redirect_stdout


class Server:
    """What the executor tells a browser; nobody listens."""

    client_id = last_node_id = None

    def send_sync(self, event, data, sid=None) -> None:
        pass


def main(comfyui: str, nodes_folder: str, output: str, graphs: str, interrupt: str) -> list[dict]:
    sys.path.insert(0, comfyui)
    sys.argv[1:] = ["--cpu"]
    import comfy.options

    comfy.options.enable_args_parsing()
    import comfy.utils
    import execution
    import folder_paths
    import nodes

    folder_paths.set_output_directory(output)
    folder_paths.set_temp_directory(f"{output}/temp")
    assert asyncio.run(nodes.load_custom_node(nodes_folder))
    executor = execution.PromptExecutor(Server())
    bars = []

    def progress(value, total, preview, **node) -> None:
        bars.append([value, total])
        if interrupt == "1":
            nodes.interrupt_processing()

    comfy.utils.set_progress_bar_global_hook(progress)
    came = []
    for i, graph in enumerate(json.loads(graphs)):
        fits, error, outputs, wrong = asyncio.run(execution.validate_prompt(f"{i}", graph, None))
        bars.clear()
        if fits:
            executor.execute(graph, f"{i}", {}, outputs)
        said = {event: data for event, data in executor.status_messages} if fits else {}
        shown = executor.history_result["outputs"] if fits and executor.success else {}
        came.append({"fits": fits, "error": error, "wrong": wrong, "said": said, "shown": shown, "bars": list(bars)})
    return came


if __name__ == "__main__":
    with redirect_stdout(sys.stderr):
        result = main(*sys.argv[1:])
    print("\n" + json.dumps(result, default=str))
