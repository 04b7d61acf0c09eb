#!/usr/bin/env python3
"""Writes the seeds of tests/fuzz/corpus/pytorch_zip that are other kinds of zip archives: the reader
is the same for all of them. Members are stored, as their producers store them."""

import json
import struct
import zipfile
from pathlib import Path

OUT = Path(__file__).resolve().parents[1] / "corpus" / "pytorch_zip"
PICKLE = b"\x80\x02}."


def archive(name, members, compression=zipfile.ZIP_STORED):
    OUT.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(OUT / name, "w", compression) as file:
        for member, content in members.items():
            file.writestr(zipfile.ZipInfo(member), content, compress_type=compression)


def array(values):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({len(values)},), }}\n".encode()
    return (b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header +
            struct.pack(f"<{len(values)}f", *values))


def safetensors(values):
    header = json.dumps({"a": {"dtype": "F32", "shape": [len(values)],
                               "data_offsets": [0, 4 * len(values)]}}).encode()
    return struct.pack("<Q", len(header)) + header + struct.pack(f"<{len(values)}f", *values)


def number(value):
    return {"as_int": value}


WEIGHTS = {"config": {"w": {
    "path_name": "weight_0", "is_param": True, "use_pickle": False,
    "tensor_meta": {"dtype": 7, "sizes": [number(2), number(2)], "requires_grad": True,
                    "device": {"type": "cpu", "index": None},
                    "strides": [number(2), number(1)], "storage_offset": number(0), "layout": 7}}}}
SKOPS = {"__class__": "LogisticRegression", "__module__": "sklearn.linear_model._logistic",
         "__loader__": "ObjectNode",
         "content": {"__class__": "dict", "__module__": "builtins", "__loader__": "DictNode",
                     "content": {"coef_": {"__class__": "ndarray", "__module__": "numpy",
                                           "__loader__": "NdArrayNode", "type": "numpy",
                                           "file": "1.npy"}}},
         "protocol": 2, "_skops_version": "0.11.0"}
KERAS = {"module": "keras", "class_name": "Sequential", "registered_name": None,
         "config": {"name": "net", "layers": [{
             "module": "keras.layers", "class_name": "Lambda", "registered_name": None,
             "config": {"function": {"class_name": "__lambda__",
                                     "config": {"code": "4wAAAA=="}}}}]}}

archive("torchscript", {"net/data.pkl": PICKLE, "net/constants.pkl": PICKLE,
                        "net/code/__torch__.py": b"class Net(Module):\n", "net/version": b"3\n"})
archive("pytorch_export", {"net/archive_format": b"pt2", "net/models/model.json": b"{}",
                           "net/data/weights/weight_0": struct.pack("<4f", 1, 2, 3, 4),
                           "net/data/weights/model_weights_config.json": json.dumps(WEIGHTS),
                           "net/byteorder": b"little", "net/version": b"3\n"})
archive("numpy_zip", {"a.npy": array([1, 2]), "b.npy": array([3])})
archive("numpy_zip_packed", {"a.npy": array([1, 2])}, zipfile.ZIP_DEFLATED)
archive("keras", {"metadata.json": b'{"keras_version": "3.8.0"}', "config.json": json.dumps(KERAS),
                  "model.weights.h5": b""})
archive("skops", {"1.npy": array([1, 2]), "schema.json": json.dumps(SKOPS)})
archive("torchserve", {"MAR-INF/MANIFEST.json": b'{"model": {"modelName": "net"}}',
                       "handler.py": b"def handle(data, context):\n    return data\n"})
archive("dduf", {"model_index.json": b'{"_class_name": "FluxPipeline"}',
                 "vae/diffusion_pytorch_model.safetensors": safetensors([1, 2, 3])})
