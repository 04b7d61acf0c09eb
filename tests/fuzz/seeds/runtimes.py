#!/usr/bin/env python3
"""Seeds for the fuzzers of agent/formats/runtimes: small files of TensorRT, RKNN, ncnn and OpenVINO."""
import json
import pathlib
import struct

CORPUS = pathlib.Path(__file__).resolve().parent.parent / "corpus"


def write(word, name, content):
    folder = CORPUS / word
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def tensorrt():
    # Mark, version, a number, the plan's length, a number; what the plan holds is not described.
    engine = struct.pack("<4sIIQI", b"ftrt", 0x61, 0, 64, 0) + bytes(64)
    old = struct.pack("<4sIIIQ", b"ptrt", 0x2B, 0, 0, 64) + bytes(64)
    metadata = json.dumps({"description": "Ultralytics YOLO11n model", "author": "Ultralytics",
                           "license": "AGPL-3.0", "names": {"0": "person"}, "batch": 1}).encode()
    write("tensorrt", "engine", engine)
    write("tensorrt", "old_engine", old)
    write("tensorrt", "behind_metadata", struct.pack("<I", len(metadata)) + metadata + engine)


def rknn():
    # Mark, four bytes, version, the data's length; since version 2 a header of the data; data; the
    # length of a JSON text, and the text.
    text = json.dumps({"name": "mobilenet", "version": "1.7.0", "target_platform": ["rk1808"],
                       "nodes": [{"name": "conv"}]}).encode()
    end = bytes(32) + struct.pack("<Q", len(text)) + text
    write("rknn", "container", b"RKNN" + bytes(4) + struct.pack("<QQ", 1, 32) + end)
    write("rknn", "second_version", b"RKNN" + bytes(4) + struct.pack("<QQ", 2, 32) + bytes(40) + end)
    write("rknn", "newer", b"RKNX" + bytes(0x60))
    write("rknn", "tables", struct.pack("<I", 16) + b"RKNN" + bytes(64))
    write("rknn", "encrypted", b"CYPTRKNN" + bytes(64))


def ncnn():
    text = ("7767517\n3 3\n"
            "Input            data   0 1 data 0=227 1=227 2=3\n"
            "Convolution      conv1  1 1 data conv1 0=64 1=3 -23310=2,0,1\n"
            "Softmax          prob   1 1 conv1 prob 0=0\n")
    write("ncnn", "text", text)
    write("ncnn", "pnnx", "7767517\n2 1\npnnx.Input in 0 1 0 #0=(1,3)f32\nnn.ReLU act 1 1 0 1\n")
    # The number, the counts; of each layer its type, counts, blobs, and parameters up to -233.
    binary = struct.pack("<3i", 7767517, 2, 2)
    binary += struct.pack("<4i", 16, 0, 1, 0) + struct.pack("<3i", 0, 227, -233)
    binary += struct.pack("<5i", 6, 1, 1, 0, 1) + struct.pack("<5i", -23300, 2, 7, 8, -233)
    write("ncnn", "binary", binary)


def openvino():
    def net(layers, version=11):
        return ('<?xml version="1.0"?>\n<net name="tiny" version="%d">\n<layers>\n%s</layers>\n'
                '<edges><edge from-layer="0" from-port="0" to-layer="1" to-port="0"/></edges>\n'
                '<rt_info/></net>\n' % (version, layers))

    constant = ('<layer id="0" name="c" type="Const" version="opset1"><data element_type="f16" '
                'shape="64, 3, 7, 7" offset="0" size="18816"/><output><port id="0"/></output></layer>\n')
    own = '<layer id="1" name="o" type="Own" version="extension"/>\n'
    loop = ('<layer id="2" name="l" type="Loop" version="opset5"><body><layers>%s</layers></body></layer>'
            % constant)
    write("openvino", "constant", net(constant))
    write("openvino", "custom", net(own))
    write("openvino", "subgraph", "<!-- a comment -->" + net(loop))
    write("openvino", "old", net('<layer id="0" name="d" precision="FP32" type="Input"/>', 6))


tensorrt()
rknn()
ncnn()
openvino()
