#!/usr/bin/env python3
"""Seeds for the fuzzers of agent/formats/trees: small models of LightGBM, XGBoost, CatBoost and PMML."""
import json
import pathlib
import struct

CORPUS = pathlib.Path(__file__).resolve().parent.parent / "corpus"


def write(word, name, content):
    folder = CORPUS / word
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def lightgbm():
    trees = ["Tree=%d\nnum_leaves=2\nnum_cat=0\nsplit_feature=0\nthreshold=0.5\nleaf_value=0.1 0.2\n\n\n"
             % i for i in range(2)]
    end = "end of trees\n\nfeature_importances:\na=2\n\nparameters:\n[boosting: gbdt]\n\nend of parameters\n"

    def header(version, sizes):
        return ("tree\nversion=%s\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\n"
                "max_feature_idx=1\nobjective=binary sigmoid:1\nfeature_names=a b\n"
                "feature_infos=[0:1] none\n%s\n" % (version, sizes))

    sizes = "tree_sizes=" + " ".join(str(len(tree)) for tree in trees) + "\n"
    write("lightgbm", "v4", header("v4", sizes) + "".join(trees) + end)
    write("lightgbm", "v2_without_sizes", header("v2", "") + "".join(trees) + end)
    write("lightgbm", "without_version", "tree\nnum_class=1\nlabel_index=0\n\n" + trees[0])


def ubjson(value):
    """UBJSON as XGBoost writes it: lengths are 64-bit, keys have no marker, objects end with }."""
    if isinstance(value, dict):
        return b"{" + b"".join(ubjson(key)[1:] + ubjson(item) for key, item in value.items()) + b"}"
    if isinstance(value, list):
        if value and all(isinstance(item, float) for item in value):
            return (b"[$d#L" + struct.pack(">q", len(value)) +
                    b"".join(struct.pack(">f", item) for item in value))
        return b"[#L" + struct.pack(">q", len(value)) + b"".join(map(ubjson, value))
    if isinstance(value, str):
        return b"SL" + struct.pack(">q", len(value)) + value.encode()
    return b"i" + struct.pack(">b", value) if isinstance(value, int) else b"d" + struct.pack(">f", value)


def xgboost():
    tree = {"id": 0, "left_children": [1, -1, -1], "split_conditions": [0.5, 0.1, 0.2]}
    model = {"gbtree_model_param": {"num_trees": "1"}, "trees": [tree], "tree_info": [0]}

    def learner(booster):
        return {"learner": {"attributes": {}, "feature_names": [], "gradient_booster": booster,
                            "learner_model_param": {"base_score": "5E-1"},
                            "objective": {"name": "binary:logistic"}}, "version": [2, 1, 0]}

    trees = learner({"model": model, "name": "gbtree"})
    dart = learner({"gbtree": {"model": model, "name": "gbtree"}, "name": "dart", "weight_drop": [1.0]})
    linear = learner({"model": {"boosted_rounds": 1, "weights": [0.5, 0.5]}, "name": "gblinear"})
    write("xgboost", "json", json.dumps(trees, separators=(",", ":")))
    write("xgboost", "json_indented", json.dumps(linear, indent=1))
    write("xgboost", "ubjson", ubjson(trees))
    write("xgboost", "ubjson_dart", ubjson(dart))
    # LearnerModelParam (136 bytes), then objective and booster behind their lengths.
    texts = b"".join(struct.pack("<Q", len(text)) + text for text in (b"binary:logistic", b"gbtree"))
    binary = struct.pack("<fIiii", 0.5, 4, 0, 1, 0) + bytes(116) + texts + bytes(64)
    write("xgboost", "binary", binary)
    write("xgboost", "binary_marked", b"binf" + binary)


def catboost():
    def core(version, parts):
        # A root table at 20 with its vtable at 8: format version, trees, information, parts.
        text = version + b"\0" * (4 - len(version) % 4)
        table = struct.pack("<i", 12) + struct.pack("<I", 8) + struct.pack("<I", 8 + len(text))
        names = struct.pack("<I", len(parts))
        texts = b""
        for i, part in enumerate(parts):
            names += struct.pack("<I", 4 * (len(parts) - i) + len(texts))
            texts += struct.pack("<I", len(part)) + part + b"\0" * (4 - len(part) % 4)
        return (struct.pack("<I4x", 20) + struct.pack("<6H", 12, 12, 4, 0, 0, 8) + table +
                struct.pack("<I", len(version)) + text + names + texts)

    plain = core(b"FlabuffersModel_v1", [])
    parts = core(b"FlabuffersModel_v1", [b"static_provider_v1"])
    newer = core(b"FlabuffersModel_v2", [])
    write("catboost", "core", b"CBM1" + struct.pack("<I", len(plain)) + plain)
    write("catboost", "parts", b"CBM1" + struct.pack("<I", len(parts)) + parts + bytes(32))
    write("catboost", "newer", b"CBM1" + struct.pack("<I", len(newer)) + newer)
    write("catboost", "long_size", b"CBM1\xff\xff\xff\xff" + struct.pack("<Q", len(plain)) + plain)


def pmml():
    body = ('<Header copyright="c"><Application name="JPMML"/></Header>\n<DataDictionary>'
            '<DataField name="x" optype="continuous" dataType="double"/></DataDictionary>\n')
    tree = '<TreeModel modelName="iris" functionName="classification"><Node id="1"/></TreeModel>\n'
    root = '<?xml version="1.0"?>\n<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4">\n'
    write("pmml", "tree", root + body + tree + "</PMML>\n")
    write("pmml", "without_model", root + body + "</PMML>\n")
    write("pmml", "typed", '<!DOCTYPE PMML [<!ENTITY a "b">]>\n<PMML version="2.0"><Header/>'
          '<RegressionModel modelName="r"/></PMML>')
    write("pmml", "prefixed", '<p:PMML xmlns:p="http://www.dmg.org/PMML-4_2" version="4.2">'
          '<p:Extension name="e"/><p:Scorecard/></p:PMML>')


lightgbm()
xgboost()
catboost()
pmml()
