#!/usr/bin/env python3
"""Writes the seeds of the fuzzers for TensorFlow, Core ML and PaddlePaddle into ../corpus.

Most of these formats are protobuf messages: a field is its number and wire type as a varint, then a varint (type 0) or a
length and so many bytes (type 2). The field numbers are those of the definitions that the readers' headers name.
"""

import json
import pathlib
import struct

CORPUS = pathlib.Path(__file__).resolve().parent.parent / "corpus"


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field, value):
    return varint(field << 3) + varint(value)


def field(number_, content):
    content = content.encode() if isinstance(content, str) else content
    return varint(number_ << 3 | 2) + varint(len(content)) + content


def write(word, name, content):
    folder = CORPUS / word
    folder.mkdir(parents=True, exist_ok=True)
    content = content.encode() if isinstance(content, str) else content
    assert len(content) < 4096, (word, name)
    (folder / name).write_bytes(content)


# TensorFlow: NodeDef {1 name, 2 op, 5 attr {1 key, 2 AttrValue}}; AttrValue {2 s, 6 type, 7 shape, 8 tensor};
# TensorProto {1 dtype, 2 tensor_shape {2 dim {1 size}}, 4 tensor_content}.
F32, STRING, I64, F16 = 1, 7, 9, 19


def shape(extents):
    return b"".join(field(2, number(1, extent)) for extent in extents)


def attribute(key, value):
    return field(5, field(1, key) + field(2, value))


def node(name, operation, *attributes):
    return field(1, field(1, name) + field(2, operation) + b"".join(attributes))


def constant(name, type_, extents, content):
    tensor = number(1, type_) + field(2, shape(extents)) + field(4, content)
    return node(name, "Const", attribute("dtype", number(6, type_)), attribute("value", field(8, tensor)))


def variable(name, type_, extents):
    return node(name, "VarHandleOp", attribute("dtype", number(6, type_)), attribute("shape", field(7, shape(extents))))


def function(name, operation):
    # FunctionDef {1 signature {1 name}, 3 node_def} in FunctionDefLibrary {1 function}
    return field(1, field(1, field(1, name)) + field(3, field(1, "node") + field(2, operation)))


def graph(nodes, library=b""):
    # GraphDef {1 node, 2 library, 4 versions {1 producer}}
    return nodes + (field(2, library) if library else b"") + field(4, number(1, 1882))


def saved_model(*meta_graphs):
    # SavedModel {1 saved_model_schema_version, 2 meta_graphs {1 meta_info_def, 2 graph_def, …}}
    return number(1, 1) + b"".join(field(2, meta_graph) for meta_graph in meta_graphs)


def tensorflow_graphs():
    frozen = node("x", "Placeholder", attribute("dtype", number(6, F32))) + constant("w", F32, (2, 2), bytes(16))
    write("tf_graph", "frozen.pb", graph(frozen + node("y", "MatMul")))
    write("tf_graph", "functions.pb", graph(frozen, function("f", "Identity") + function("g", "EagerPyFunc")))
    write("tf_graph", "reaches_files.pb", graph(frozen + node("r", "ReadFile") + node("save/RestoreV2", "RestoreV2")))
    write("tf_graph", "attributes.pb", graph(
        frozen + node("p", "PrintV2", attribute("output_stream", field(2, "file:///tmp/x")))
        + node("d", "DebugIdentity", attribute("debug_urls", field(1, field(2, "grpc://localhost:1"))))
        + node("i", "ImmutableConst", attribute("memory_region_name", field(2, "/etc/passwd")))))
    write("tf_graph", "cut_off.pb", graph(frozen)[:-12])

    info = field(1, field(2, field(1, field(1, "NoOp"))) + field(4, "serve") + field(5, "2.16.1") + number(7, 1))
    variables = variable("dense/kernel", F32, (8, 4)) + variable("dense/bias", F32, (4,))
    saver = field(3, field(1, "saver_filename:0") + field(3, "StatefulPartitionedCall_2") + number(7, 2))
    library = function("__inference__traced_save_9", "SaveV2") + function("__inference__traced_restore_9", "RestoreV2")
    asset = field(6, field(1, field(1, "Const:0")) + field(2, "vocabulary.txt"))
    whole = info + field(2, graph(node("x", "Placeholder") + variables, library)) + saver + asset
    write("tf_saved_model", "saved_model.pb", saved_model(whole))
    write("tf_saved_model", "python.pb", saved_model(whole, info + field(2, graph(node("call", "PyFunc")))))
    write("tf_saved_model", "asset_escapes.pb", saved_model(info + field(2, graph(b"")) + field(6, field(2, "../../x"))))
    lambda_ = json.dumps({"name": "l", "class_name": "Lambda", "config": {"function": ["4wEA", None, None]}})
    objects = field(7, field(1, field(4, field(1, "_tf_keras_layer") + field(3, lambda_))))
    write("tf_saved_model", "lambda.pb", saved_model(info + field(2, graph(variables)) + objects))
    write("tf_saved_model", "cut_off.pb", saved_model(whole)[:-40])


# A table of LevelDB: blocks of entries {varint shared, varint own, varint value bytes, key, value}, then the offsets of
# restarts and their count; behind each block its packing and a checksum. The footer has the places of two blocks.
def block(entries):
    out, last = b"", b""
    for key, value in entries:
        shared = 0
        while shared < min(len(key), len(last)) and key[shared] == last[shared]:
            shared += 1
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    return out + struct.pack("<II", 0, 1)


def table(blocks, packing=0, hidden=b""):
    out, index = b"", []
    for i, content in enumerate(blocks):
        index.append((b"key%d" % i, varint(len(out)) + varint(len(content))))
        out += content + bytes([packing]) + bytes(4)
    out += hidden
    footer = varint(len(out)) + varint(len(block([])))
    out += block([]) + bytes(5)
    footer += varint(len(out)) + varint(len(block(index)))
    out += block(index) + bytes(5)
    return out + footer.ljust(40, b"\0") + bytes.fromhex("57fb808b247547db")


def entry(type_, extents, size, shard=0):
    # BundleEntryProto {1 dtype, 2 shape, 3 shard_id, 4 offset, 5 size, 6 crc32c}
    return (number(1, type_) + field(2, shape(extents)) + number(3, shard) + number(5, size)
            + varint(6 << 3 | 5) + bytes(4))


def tensorflow_checkpoints():
    header = (b"", number(1, 1) + field(3, number(1, 1)))  # BundleHeaderProto {1 num_shards, 3 version}
    first = block([header, (b"_CHECKPOINTABLE_OBJECT_GRAPH", entry(STRING, (), 99)), (b"layer/b", entry(F32, (4,), 16)),
                   (b"layer/k", entry(F32, (3, 4), 48))])
    second = block([(b"save_counter", entry(I64, (), 8)), (b"x", entry(F16, (5,), 10))])
    write("tf_checkpoint", "model.index", table([first, second]))
    write("tf_checkpoint", "size_lies.index", table([block([header, (b"w", entry(F32, (3,), 13))])]))
    write("tf_checkpoint", "hidden.index", table([first], hidden=b"hidden"))
    write("tf_checkpoint", "packed.index", table([varint(len(block([header]))) + bytes([(len(block([header])) - 1) << 2])
                                                  + block([header])], packing=1))
    sliced = number(1, F32) + field(2, shape((10,))) + field(7, b"")
    write("tf_checkpoint", "slices.index", table([block([header, (b"\0part", entry(F32, (10,), 40)), (b"w", sliced)])]))


def tensorflow_js():
    weights = [{"name": "d/kernel", "shape": [3, 4], "dtype": "float32"},
               {"name": "q", "shape": [50], "dtype": "float32", "quantization": {"dtype": "uint8", "min": -1, "scale": 0.1}}]
    manifest = [{"paths": ["group1-shard1of1.bin"], "weights": weights}]
    layers = [{"class_name": "Dense", "config": {"name": "d"}}, {"class_name": "Lambda", "config": {"name": "l"}}]
    topology = {"keras_version": "2.15.0",
                "model_config": {"class_name": "Sequential", "config": {"name": "m", "layers": layers}}}
    write("tf_js", "layers.json", json.dumps({"format": "layers-model", "modelTopology": topology,
                                              "weightsManifest": manifest}))
    nodes = {"node": [{"name": "x", "op": "Placeholder"}], "library": {}, "versions": {}}
    write("tf_js", "graph.json", json.dumps({"format": "graph-model", "modelTopology": nodes, "weightsManifest": manifest}))
    outside = [{"paths": ["../../x.bin"], "weights": weights}]
    write("tf_js", "escapes.json", json.dumps({"modelTopology": nodes, "weightsManifest": outside}))
    write("tf_js", "cut_off.json", json.dumps({"modelTopology": topology, "weightsManifest": manifest})[:-20])


# Core ML: Model {1 specificationVersion, 2 description {1 input, 10 output, 100 metadata}, 200… the kind}.
def coreml_model(kind):
    feature = field(1, "x") + field(3, field(5, number(1, 3)))
    metadata = field(1, "A description") + field(4, "MIT") + field(100, field(1, "name") + field(2, "m"))
    return number(1, 7) + field(2, field(1, feature) + field(10, feature) + field(100, metadata)) + kind


def layer(number_, params):
    return field(1, field(1, "l") + field(2, "x") + field(3, "y") + field(number_, params))


def mil_program(file_name):
    # Program {2 functions {2 Function {3 block_specializations {2 Block {3 operations}}}}}; Operation {1 type, 5 attributes};
    # Value {2 type {1 tensorType {1 dataType, 2 rank, 3 dimensions {1 constant {1 size}}}}, 5 blobFileValue {1, 2}}
    tensor = number(1, 10) + number(2, 1) + field(3, field(1, number(1, 7)))
    value = field(2, field(1, tensor)) + field(5, field(1, file_name) + number(2, 64))
    operation = field(3, field(1, "const") + field(5, field(1, "val") + field(2, value)))
    block_ = field(3, field(1, "CoreML5") + field(2, operation))
    return field(502, number(1, 1) + field(2, field(1, "main") + field(2, field(2, "CoreML5") + block_)))


def coreml():
    weights = field(1, bytes(20))  # WeightParams {1 floatValue}
    network = layer(140, field(20, weights)) + layer(500, field(10, "MyLayer"))
    write("coreml", "network.mlmodel", coreml_model(field(500, network)))
    quantised = field(30, bytes(10)) + field(40, number(1, 4))
    write("coreml", "quantised.mlmodel", coreml_model(field(403, layer(100, field(90, quantised)))))
    write("coreml", "program.mlmodel", coreml_model(mil_program("@model_path/weights/weight.bin")))
    write("coreml", "escapes.mlmodel", coreml_model(mil_program("@model_path/../../x")))
    write("coreml", "pipeline.mlmodel", coreml_model(field(202, field(1, coreml_model(field(555, field(10, "C")))))))
    branch = layer(605, field(1, layer(615, field(4, network))))
    write("coreml", "branches.mlmodel", coreml_model(field(500, branch)))
    linked = field(1, field(1, field(1, "x.mlmodelc")) + field(2, field(1, "a:/tmp")))
    write("coreml", "linked.mlmodel", coreml_model(field(556, linked)))

    # Storage header {u32 count, u32 version, 56 reserved}, then for each blob, at a multiple of 64, {u32 sentinel, u32 type,
    # u64 bytes, u64 offset, u64 padding in bits, 32 reserved} and its bytes.
    def storage(*blobs, count=None):
        out = struct.pack("<II", len(blobs) if count is None else count, 2).ljust(64, b"\0")
        for type_, size, padding in blobs:
            out = out.ljust((len(out) + 63) // 64 * 64, b"\0")
            out += struct.pack("<IIQQQ", 0xDEADBEEF, type_, size, len(out) + 64, padding).ljust(64, b"\0") + bytes(size)
        return out

    write("coreml_weights", "weight.bin", storage((1, 20, 0), (2, 8, 0), (8, 3, 4)))
    write("coreml_weights", "count_lies.bin", storage((1, 20, 0), count=2))
    write("coreml_weights", "cut_off.bin", storage((1, 20, 0), (2, 80, 0))[:-8])

    begin = ('program(1.3)\n[buildInfo = dict<string, string>({{"coremlc-version", "3405.2.1"}})]\n{\n'
             "    func main<ios18>(tensor<fp16, [1, 10]> x) {\n")
    new = ('            tensor<fp16, [4, 3]> w = const()[val = tensor<fp16, [4, 3]>(BLOBFILE(path = '
           'string("@model_path/weights/weight.bin"), offset = uint64(64)))];\n')
    old = ('            tensor<fp32, [5]> w = const()[val = tensor<fp32, [5]>(BLOBFILE(path = '
           'tensor<string, []>("../x.bin"), offset = tensor<uint64, []>(64)))];\n')
    end = "        } -> (y);\n}\n"
    write("coreml_compiled", "model.mil", begin + new + end)
    write("coreml_compiled", "escapes.mil", begin + old + "            y = custom_layer(x = x);\n" + end)
    write("coreml_compiled", "cut_off.mil", begin + new)


# PaddlePaddle: ProgramDesc {1 blocks {1 idx, 2 parent_idx, 3 vars, 4 ops}, 4 version}; parameters are tensors in a row, {u32 0,
# u64 levels, u32 0, u32 bytes of the description, TensorDesc {1 data_type, 2 dims}, elements}.
def paddle():
    def desc(type_, extents):
        return number(1, type_) + b"".join(number(2, extent) for extent in extents)

    def stays(name, description):
        return field(3, field(1, name) + field(2, number(1, 7) + field(3, field(1, description))) + number(3, 1))

    def operator(type_, attributes=b""):
        return field(4, field(1, field(1, "X") + field(2, "x")) + field(3, type_) + attributes)

    def program(content):
        return field(1, number(1, 0) + number(2, -1) + content) + field(4, number(1, 0))

    def tensor(description, size, levels=b""):
        return (struct.pack("<IQ", 0, len(levels) and 1) + levels + struct.pack("<II", 0, len(description)) + description
                + bytes(size))

    weights = stays("w", desc(5, (3, 4))) + stays("b", desc(4, (4,)))
    write("paddle", "model.pdmodel", program(weights + operator("mul")))
    path = field(4, field(1, "file_path") + number(2, 2) + field(5, "../x"))
    write("paddle", "escapes.pdmodel", program(weights + operator("load_combine", path) + operator("py_func")))
    write("paddle", "cut_off.pdmodel", program(weights + operator("mul"))[:-12])
    two = tensor(desc(5, (3, 4)), 48) + tensor(desc(4, (5,)), 10)
    write("paddle", "model.pdiparams", two)
    write("paddle", "levels.pdiparams", two + tensor(desc(5, (2,)), 8, struct.pack("<QQ", 8, 0)))
    write("paddle", "cut_off.pdiparams", two[:-4])


if __name__ == "__main__":
    tensorflow_graphs()
    tensorflow_checkpoints()
    tensorflow_js()
    coreml()
    paddle()
