#!/usr/bin/env python3
"""Writes tests/fixtures/models/ with the formats' own producers.

Needs: pip install gguf safetensors onnx numpy joblib (any recent versions). PyTorch itself is
not needed: its zip layout is written with zipfile, and its pickles with stand-ins for the few names
of torch that a checkpoint imports. The files are committed; run this only to change them.
"""

import argparse
import base64
import collections
import io
import pickle
import struct
import sys
import types
import zipfile
from pathlib import Path

import gguf
import joblib
import numpy
import onnx
from onnx import TensorProto, helper
from safetensors.numpy import save_file

OUT = Path(__file__).resolve().parents[2] / "fixtures" / "models"


# --- Stand-ins for torch ---

def stub(module_name, **names):
    module = sys.modules.setdefault(module_name, types.ModuleType(module_name))
    for name, value in names.items():
        value.__module__ = module_name
        value.__qualname__ = value.__name__ = name
        setattr(module, name, value)
    return module


def _rebuild_tensor_v2(*args):
    return args


class FloatStorage:
    pass


class HalfStorage:
    pass


class Storage:
    """What torch's pickler writes as a persistent id."""

    def __init__(self, kind, key, numel):
        self.id = ("storage", kind, key, "cpu", numel)


class Tensor:
    def __init__(self, storage, shape):
        self.storage, self.shape = storage, shape

    def __reduce__(self):
        stride, step = [], 1
        for extent in reversed(self.shape):
            stride.insert(0, step)
            step *= extent
        return (_rebuild_tensor_v2, (self.storage, 0, tuple(self.shape), tuple(stride), False,
                                     collections.OrderedDict()))


class TorchPickler(pickle._Pickler):
    def persistent_id(self, obj):
        return obj.id if isinstance(obj, Storage) else None


def torch_pickle(obj, protocol=2):
    out = io.BytesIO()
    TorchPickler(out, protocol).dump(obj)
    return out.getvalue()


def state_dict():
    return collections.OrderedDict(
        weight=Tensor(Storage(HalfStorage, "0", 64), (8, 8)),
        bias=Tensor(Storage(FloatStorage, "1", 8), (8,)))


def torch_zip(path, data_pkl, extra=(), method=zipfile.ZIP_STORED, folder="tiny"):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in [("data.pkl", data_pkl), ("byteorder", b"little"),
                           ("data/0", bytes(128)), ("data/1", bytes(32)), ("version", b"3\n"),
                           (".data/serialization_id", b"0" * 40), *extra]:
            info = zipfile.ZipInfo(f"{folder}/{name}", (1980, 1, 1, 0, 0, 0))
            info.compress_type = method
            archive.writestr(info, data)


class Executes:
    def __reduce__(self):
        import os
        return os.system, ("true",)


# --- The files ---

def write_gguf(name, endianess=gguf.GGUFEndian.LITTLE, template=None):
    writer = gguf.GGUFWriter(OUT / name, "llama", endianess=endianess)
    writer.add_name("Tiny Llama")
    writer.add_license("apache-2.0")
    writer.add_file_type(15)
    writer.add_token_list([f"token{i}" for i in range(64)])
    if template is not None:
        writer.add_chat_template(template)
    writer.add_tensor("token_embd.weight", numpy.ones((16, 32), dtype="f4"))
    writer.add_tensor("output.weight", numpy.ones((32,), dtype="f2"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_onnx():
    weight = helper.make_tensor("weight", TensorProto.FLOAT, [4, 4], [0.5] * 16)
    node = helper.make_node("MatMul", ["x", "weight"], ["y"])
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])
    model = helper.make_model(helper.make_graph([node], "tiny_graph", [x], [y], [weight]),
                              producer_name="make_fixtures")
    helper.set_model_props(model, {"license": "mit", "author": "nobody"})
    onnx.save(model, OUT / "tiny.onnx")
    node.domain = "com.example"
    model = helper.make_model(helper.make_graph([node], "custom", [x], [y], [weight]),
                              producer_name="make_fixtures")
    onnx.save(model, OUT / "custom_operator.onnx")
    weight = TensorProto(name="weight", data_type=TensorProto.FLOAT, dims=[4, 4],
                         data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value="../../etc/passwd")
    node.domain = ""
    model = helper.make_model(helper.make_graph([node], "outside", [x], [y], [weight]))
    onnx.save(model, OUT / "external_data_escapes.onnx")


def write_pickles():
    plain = {"name": "tiny", "numbers": [1, 2.5, -3, 2**70], "set": {1, 2}, "none": None,
             "text": "grüße", "bytes": b"\x00\x01", "nested": ((1, 2), [3])}
    plain["again"] = plain["numbers"]
    for protocol in range(6):
        (OUT / f"plain_protocol{protocol}.pkl").write_bytes(pickle.dumps(plain, protocol))
        (OUT / f"executes_protocol{protocol}.pkl").write_bytes(pickle.dumps(Executes(), protocol))
    inner = pickle.dumps(Executes(), 4)
    for name, data in [("raw", inner), ("base64", base64.b64encode(inner)), ("hex", inner.hex()),
                       ("latin1", inner.decode("latin1"))]:
        (OUT / f"embedded_{name}.pkl").write_bytes(pickle.dumps({"payload": data}, 4))
    joblib.dump({"array": numpy.arange(1000.0), "names": numpy.array(["a", None], dtype=object),
                 "more": [numpy.ones((3, 4), dtype="f4")]}, OUT / "arrays.joblib")


def write_torch():
    torch_zip(OUT / "state_dict.pt", torch_pickle(state_dict()))
    torch_zip(OUT / "state_dict_deflated.pt", torch_pickle(state_dict()),
              method=zipfile.ZIP_DEFLATED)
    torch_zip(OUT / "executes.pt", torch_pickle(Executes()))
    torch_zip(OUT / "hidden_member.pt", torch_pickle(state_dict()),
              extra=[("notes.txt", pickle.dumps(Executes(), 2))])
    streams = [torch_pickle(0x1950A86A20F9469CFC6C), torch_pickle(1001),
               torch_pickle({"protocol_version": 1001, "little_endian": True}),
               torch_pickle(state_dict()), torch_pickle(["0", "1"])]
    weights = struct.pack("<q", 64) + bytes(128) + struct.pack("<q", 8) + bytes(32)
    (OUT / "legacy.pth").write_bytes(b"".join(streams) + weights)


def main():
    argparse.ArgumentParser(description=__doc__).parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    stub("torch", FloatStorage=FloatStorage, HalfStorage=HalfStorage)
    stub("torch._utils", _rebuild_tensor_v2=_rebuild_tensor_v2)
    write_gguf("tiny.gguf")
    write_gguf("tiny_big_endian.gguf", gguf.GGUFEndian.BIG)
    write_gguf("hostile_template.gguf",
               template="{{ messages.__class__.__mro__[1].__subclasses__() }}")
    save_file({"model.layers.0.self_attn.q_proj.weight": numpy.ones((8, 8), dtype="f2"),
               "lm_head.weight": numpy.ones((8,), dtype="f4")}, OUT / "tiny.safetensors",
              metadata={"format": "pt", "license": "apache-2.0", "modelspec.title": "Tiny"})
    write_onnx()
    write_pickles()
    write_torch()


if __name__ == "__main__":
    main()
