"""The buffer views of a GLB, taken apart and put together again."""

from ..scene.gltf_file import pack_glb

# What a view holds, and where it began, modulo 4: what is in it is aligned to that.
Views = list[tuple[int, bytes]]


def views_of(header: dict, chunk: bytes) -> Views:
    """What each of the views holds, of a GLB's JSON and binary chunk."""
    data = []
    for view in header.get("bufferViews", []):
        start = int(view.get("byteOffset", 0))
        data.append((start % 4, chunk[start : start + int(view["byteLength"])]))
    return data


def put(header: dict, data: Views, view: int, content: bytes) -> None:
    """Makes a view hold something else; the number behind the last is a new one."""
    about = {"buffer": 0, "byteLength": len(content)}
    if view == len(data):
        header["bufferViews"].append(about)
        data.append((0, content))
    else:
        header["bufferViews"][view], data[view] = about, (0, content)


def laid_out(views: list[dict], data: Views) -> tuple[list[bytes], int]:
    """Puts one behind the other, as `views` are told: parts, each a multiple of 4 bytes long, and their length.

    Args:
        views: what says where each is (`byteOffset`): the views themselves, or extensions of theirs.
        data: what each holds.
    """
    chunks: list[bytes] = []
    length = 0
    for view, (remainder, content) in zip(views, data, strict=True):
        view["byteOffset"] = length + remainder
        chunks += [b"\0" * remainder, content, b"\0" * (-(remainder + len(content)) % 4)]
        length += sum(map(len, chunks[-3:]))
    return chunks, length


def packed(header: dict, data: Views) -> bytes:
    """The GLB of its JSON and of what its views hold."""
    chunks, length = laid_out(header["bufferViews"], data)
    header["buffers"] = [{"byteLength": length}]
    return pack_glb(header, chunks)
