"""One compiled network behind one call: OpenVINO where it is installed, PyTorch everywhere else and on CUDA.

The precision is what the processor computes fast, taken only when a check against float32 passes at build time.
A compiled network is kept on disk under the fingerprint of its weights, so later starts neither trace nor check.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import re
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from index import settings
from index.errors import IndexingError

#: Arrays in, one array out.
Call = Callable[..., np.ndarray]
PRECISIONS = ("auto", "bf16", "f32", "int8")
#: A lower precision must keep every output row's cosine to float32 above this; int8, which has to be asked for, this.
MIN_COSINE, MIN_COSINE_INT8 = 0.999, 0.99
#: So many compiled networks are kept, those used last; a store uses two, and each training that is looked at two more.
KEPT = 12
#: Changes with what `_build` makes of a module, so that what was kept before is made anew.
_FORM = "2"
#: Rows of a divided batch that a thread computes at once: what they need stays in a core's own cache.
_AT_ONCE = 10
#: Requests of a network that are kept for the next call, with their memory.
_MOST_FREE = 4
#: There while NVIDIA's driver runs (Linux).
_DRIVER = Path("/dev/nvidiactl")


def cache_folder() -> Path:
    """Where compiled networks are kept, see `index.settings`."""
    return settings.cache_folder("compiled")


def available() -> bool:
    """Whether OpenVINO is installed."""
    return find_spec("openvino") is not None


def compiled(
    build: Callable[[], Any],
    examples: Sequence[np.ndarray],
    fingerprint: str,
    *,
    dynamic: Sequence[Sequence[int]],
    precision: str = "auto",
    folder: Path | None = None,
) -> Call:
    """A torch module as a fast callable of float32 arrays, with one array as its answer; see `compiled_as`."""
    return compiled_as(build, examples, fingerprint, dynamic=dynamic, precision=precision, folder=folder)[0]


def compiled_as(
    build: Callable[[], Any],
    examples: Sequence[np.ndarray],
    fingerprint: str,
    *,
    dynamic: Sequence[Sequence[int]],
    precision: str = "auto",
    folder: Path | None = None,
) -> tuple[Call, str]:
    """A torch module as a fast callable, and the precision it computes in.

    `build` gives the module; it is called, and PyTorch loaded, only where nothing is kept from an earlier start.
    `examples` are inputs of the shapes that come; axis numbers in `dynamic`, one list an input, may change from call
    to call. `fingerprint` names the weights. For int8 the examples are what its ranges are measured on: give some dozen
    real ones. Raises IndexingError for an unknown precision, or where bf16 or int8 was asked for and is not exact
    enough.
    """
    if precision not in PRECISIONS:
        raise IndexingError(f"no precision is called {precision!r}; choose one of: {', '.join(PRECISIONS)}")
    key = _key(fingerprint, examples, dynamic, precision)
    place = (folder or cache_folder()) / key
    divided = all(0 in axes for axes in dynamic) and all(len(axes) == 1 for axes in dynamic)
    try:
        return _kept(place, divided)
    except FileNotFoundError:  # never built, or another process has just made room
        _build(build(), examples, dynamic, precision, place)
        return _kept(place, divided)


def _kept(place: Path, divided: bool) -> tuple[Call, str]:
    """The network that is kept in a folder, and its precision; raises FileNotFoundError where there is none."""
    chosen = str(json.loads((place / "precision.json").read_text())["precision"])
    with contextlib.suppress(OSError):  # a cache that others own is used all the same
        os.utime(place)
    try:
        return _open(place / "network.xml", chosen, place, divided), chosen
    except RuntimeError:
        if (place / "network.bin").is_file():
            raise
        raise FileNotFoundError(place) from None


def _make_room(folder: Path) -> None:
    """Delete the networks that were used longest ago, down to KEPT; what another process deletes meanwhile is gone.

    One in use goes on working: its weights are in memory, or its files, unnamed, until they are closed. Each is renamed
    first, so that nobody finds half of it.
    """
    used: list[tuple[float, Path]] = []
    for place in folder.iterdir():
        with contextlib.suppress(OSError):
            if re.fullmatch(r"[0-9a-f]{24}", place.name):
                used.append((place.stat().st_mtime, place))
    for _, place in sorted(used, reverse=True)[KEPT:]:
        with contextlib.suppress(OSError), tempfile.TemporaryDirectory(dir=folder) as name:
            place.rename(Path(name) / "old")


def capabilities() -> list[str]:
    """What OpenVINO can compute with on this processor: "FP32" and, where the processor is quick at them, others."""
    return list(core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))


def has_cuda() -> bool:
    """Whether PyTorch can use a graphics processor; PyTorch is loaded only where a driver of NVIDIA's is running.

    The environment variable RETAIL_SEG_DEVICE=cpu says no.
    """
    if settings.cpu_only() or not _DRIVER.exists():
        return False
    import torch

    return torch.cuda.is_available()


def on_cuda(build: Callable[[], Any]) -> Call:
    """A torch module on the graphics processor, in float32, as a callable of arrays."""
    import torch

    module = build().eval().to("cuda", memory_format=torch.channels_last)

    def call(*arrays: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            moved = [torch.from_numpy(np.ascontiguousarray(a, np.float32)).to("cuda") for a in arrays]
            answer: np.ndarray = module(*moved).float().cpu().numpy()
            return answer

    return call


def _key(fingerprint: str, examples: Sequence[np.ndarray], dynamic: Sequence[Sequence[int]], precision: str) -> str:
    import openvino

    parts = [fingerprint, precision, openvino.__version__, platform.machine(), _processor(), _FORM]
    for example, free in zip(examples, dynamic, strict=True):
        parts.append(str([side for axis, side in enumerate(example.shape) if axis not in free]))
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:24]


@cache
def core() -> Any:
    """OpenVINO, of which a process needs one."""
    import openvino

    return openvino.Core()


def _processor() -> str:
    """The processor's name and what it can compute with: a cache moves with a disk image, the machine does not."""
    name, capabilities = (core().get_property("CPU", key) for key in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES"))
    return f"{name} {sorted(capabilities)}"


def _build(
    module: Any, examples: Sequence[np.ndarray], dynamic: Sequence[Sequence[int]], precision: str, place: Path
) -> None:
    """Trace the module, choose the precision by a check against float32, and put the result in place in one step."""
    import openvino
    import torch

    tensors = tuple(torch.from_numpy(np.ascontiguousarray(example)) for example in examples)
    model = openvino.convert_model(module.eval().float(), example_input=tensors)
    shapes = {}
    for number, (example, axes) in enumerate(zip(examples, dynamic, strict=True)):
        shapes[model.inputs[number]] = openvino.PartialShape(
            [-1 if axis in axes else side for axis, side in enumerate(example.shape)]
        )
    model.reshape(shapes)
    _without_indices(model)
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as name:
        temporary = Path(name) / "build"
        temporary.mkdir()
        chosen = _save(model, temporary / "network.xml", examples, precision)
        (temporary / "precision.json").write_text(json.dumps({"precision": chosen}))
        if not (place / "network.xml").exists():
            # Where another process deleted a network while it was opened, OpenVINO has left a folder of its blobs.
            shutil.rmtree(place, ignore_errors=True)
        try:
            temporary.rename(place)
        except OSError:
            if not (place / "network.xml").exists():  # another process may have been faster, and that is as good
                raise
    _make_room(place.parent)


def _without_indices(model: Any) -> None:
    """Put pooling that gives its largest values alone in the place of PyTorch's, which also says where they stood.

    Nobody asks that here, and OpenVINO otherwise writes it out: a fifteenth of the embedder's time.
    """
    from openvino import opset1

    for node in model.get_ordered_ops():
        if node.get_type_name() != "MaxPool" or node.get_output_size() < 2 or node.output(1).get_target_inputs():
            continue
        how = node.get_attributes()
        padded = any(how["pads_begin"]) or any(how["pads_end"])
        rounding = how["rounding_type"].removesuffix("_torch")  # differs in what begins in the padding only
        if any(step != 1 for step in how["dilations"]) or (padded and rounding != how["rounding_type"]):
            continue
        plain = opset1.max_pool(
            node.input_value(0), how["strides"], how["pads_begin"], how["pads_end"], how["kernel"], rounding,
            how["auto_pad"],
        )  # fmt: skip
        node.output(0).replace(plain.output(0))
    model.validate_nodes_and_infer_types()


def _save(model: Any, path: Path, examples: Sequence[np.ndarray], precision: str) -> str:
    """Write the model in the precision that was chosen, which is returned."""
    import openvino

    openvino.save_model(model, path, compress_to_fp16=False)
    if precision != "int8":
        return _choose(path, examples, precision)
    from index.quantising import quantise

    exact = _open(path, "f32", None)(*examples)
    quantise(model, examples)
    openvino.save_model(model, path, compress_to_fp16=False)
    cosine = worst_cosine(exact, _open(path, "int8", None)(*examples))
    if cosine < MIN_COSINE_INT8:
        raise IndexingError(f"int8 keeps a cosine of {cosine:.4f} to float32 only; use precision auto")
    return "int8"


def _choose(path: Path, examples: Sequence[np.ndarray], precision: str) -> str:
    if precision == "f32":
        return "f32"
    if precision == "auto" and "BF16" not in capabilities():
        return "f32"
    exact, quick = (_open(path, kind, None)(*examples) for kind in ("f32", "bf16"))
    cosine = worst_cosine(exact, quick)
    if cosine >= MIN_COSINE:
        return "bf16"
    if precision == "bf16":
        raise IndexingError(f"bf16 keeps a cosine of {cosine:.4f} to float32 only; use precision auto or f32")
    return "f32"


def worst_cosine(a: np.ndarray, b: np.ndarray) -> float:
    """The smallest cosine between rows of two arrays of one shape, all axes but the first taken as one."""
    a, b = (x.reshape(len(x), -1).astype(np.float64) for x in (a, b))
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(((a * b).sum(1) / np.maximum(lengths, 1e-12)).min())


def _open(path: Path, precision: str, cached: Path | None, divided: bool = False) -> Call:
    # What is not quantised in an int8 network runs as fast as it does anywhere.
    hint = precision if precision != "int8" else "bf16" if "BF16" in capabilities() else "f32"
    options = {} if cached is None else {"CACHE_DIR": str(cached / "blobs")}
    if divided:
        return _in_parts(*in_streams(str(path), hint, options))
    options |= {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY"}
    if (count := settings.threads()) is not None:
        options["INFERENCE_NUM_THREADS"] = str(count)
    requests = Requests(core().compile_model(str(path), "CPU", options))

    def call(*arrays: np.ndarray) -> np.ndarray:
        with requests.lent(1) as (request,):
            request.infer([np.ascontiguousarray(a, np.float32) for a in arrays], share_inputs=True)
            return np.array(request.get_output_tensor(0).data)

    return call


def in_streams(model: Any, precision: str, options: Mapping[str, str] | None = None) -> tuple[Any, int]:
    """A model, or its file, compiled for several requests at once, and how many: one a thread.

    Threads that share one request wait for each other, running in circles, behind every layer; these do not.
    """
    streams = threads()
    said = {"NUM_STREAMS": str(streams), "INFERENCE_NUM_THREADS": str(streams)}
    network = core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": precision, **said, **(options or {})})
    return network, streams


def threads() -> int:
    """In how many threads this process computes: what is said, else one a core."""
    return settings.threads() or cores()


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Requests:
    """Requests of a compiled network, which threads borrow: a new one would ask the system for its memory anew."""

    def __init__(self, network: Any) -> None:
        self._network = network
        self._free: list[Any] = []
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def lent(self, count: int) -> Iterator[list[Any]]:
        """So many requests; after an error they are not used again, for one may still be at work."""
        with self._lock:
            found = [self._free.pop() for _ in range(min(count, len(self._free)))]
        found += [self._network.create_infer_request() for _ in range(count - len(found))]
        yield found
        with self._lock:
            self._free += found[: max(0, _MOST_FREE - len(self._free))]


def _in_parts(network: Any, streams: int) -> Call:
    """A network whose inputs are batches: parts of one are computed at the same time, in a thread each."""
    requests = Requests(network)

    def call(*arrays: np.ndarray) -> np.ndarray:
        arrays = tuple(np.ascontiguousarray(a, np.float32) for a in arrays)
        count = len(arrays[0])
        rounds = max(1, -(-count // (streams * _AT_ONCE)))
        size = max(1, -(-count // (streams * rounds)))
        starts = range(0, max(count, 1), size)
        with requests.lent(min(streams, len(starts))) as lent:
            answers = []
            for number, start in enumerate([*starts, *[None] * len(lent)]):
                request = lent[number % len(lent)]
                if number >= len(lent):
                    request.wait()
                    answers.append(np.array(request.get_output_tensor(0).data))
                if start is not None:
                    request.start_async([a[start : start + size] for a in arrays], share_inputs=True)
        return np.concatenate(answers)

    return call
