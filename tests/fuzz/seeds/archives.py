"""Seeds for the fuzzers joblib, llamafile, nemo, pytorch_legacy and pytorch_tar.

Each file is small, is recognised by its beginning and read as its format. Layouts:

- joblib: a pickle, perhaps with an array behind the state of its wrapper, through a compressor.
- llamafile: eight bytes of an Actually Portable Executable, filler, and a zip archive at the end whose
  offsets count from the first byte of the file and whose one stored member is a GGUF file.
- nemo: a tar of ./model_config.yaml and ./model_weights.ckpt, a zip archive or an older pickle.
- pytorch_tar: a tar of sys_info, pickle, tensors and storages; in the last two stand bytes between pickles.
- pytorch_legacy: five pickles, of which the first is a number of ten bytes, then the storages.
"""

import bz2
import io
import lzma
import pathlib
import pickle
import struct
import tarfile
import zipfile
import zlib

CORPUS = pathlib.Path(__file__).resolve().parent.parent / "corpus"


def write(word, name, content):
    folder = CORPUS / word
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def text4(text):
    return b"\x8c" + bytes([len(text)]) + text.encode()


def array_pickle():
    """{"weights": an F32 array of shape (4,)}, as joblib from 1.2 on writes it."""
    wrapper = text4("joblib.numpy_pickle") + text4("NumpyArrayWrapper") + b"\x93)\x81"
    ndarray = text4("numpy") + text4("ndarray") + b"\x93"
    dtype = text4("numpy") + text4("dtype") + b"\x93" + text4("f4") + b"\x89\x88\x87R"
    state = (b"}(" + text4("subclass") + ndarray + text4("shape") + b"K\x04\x85" + text4("order") + text4("C")
             + text4("dtype") + dtype + text4("allow_mmap") + b"\x88"
             + text4("numpy_array_alignment_bytes") + b"K\x10ub")
    return b"\x80\x04}" + text4("weights") + wrapper + state + b"\x01\xff" + struct.pack("<4f", 1, 2, 3, 4) + b"s."


def joblib():
    plain = array_pickle()
    write("joblib", "plain.joblib", plain)
    write("joblib", "zlib.joblib", zlib.compress(plain, 3))
    packer = zlib.compressobj(3, zlib.DEFLATED, 31)
    write("joblib", "gzip.joblib", packer.compress(plain) + packer.flush())
    write("joblib", "bzip2.joblib", bz2.compress(plain))
    write("joblib", "xz.joblib", lzma.compress(plain, check=lzma.CHECK_NONE))
    write("joblib", "lzma.joblib", lzma.compress(plain, format=lzma.FORMAT_ALONE))
    old = pickle.dumps({"old": list(range(64))}, 2)
    write("joblib", "zfile.joblib", b"ZF" + hex(len(old)).ljust(19).encode() + zlib.compress(old, 1))


def gguf():
    def key(name, value):
        return (struct.pack("<Q", len(name)) + name + struct.pack("<IQ", 8, len(value)) + value)

    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 2) + key(b"general.architecture", b"llama") + key(
        b"general.name", b"tiny")
    head += struct.pack("<Q", 1) + b"w" + struct.pack("<IQIQ", 1, 8, 0, 0)
    return head.ljust((len(head) + 31) // 32 * 32, b"\0") + bytes(32)


def program_with(start, members):
    """A zip archive behind a program, its offsets from the program's first byte."""
    out = io.BytesIO()
    out.write(start.ljust(256, b"\x90"))
    with zipfile.ZipFile(out, "a", zipfile.ZIP_STORED) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content)
    return out.getvalue()


def llamafile():
    model = ("tiny.gguf", gguf())
    write("llamafile", "ape", program_with(b"MZqFpD='\n", [model]))
    write("llamafile", "shell", program_with(b"jartsr='\n", [(".args", b"-m\ntiny.gguf\n"), model]))
    write("llamafile", "elf", program_with(b"\x7fELF\x02\x01\x01", [model]))
    write("llamafile", "macho", program_with(b"\xcf\xfa\xed\xfe", [model]))


def tar(members, tar_format=tarfile.PAX_FORMAT, fraction=True):
    """Python's own writer, which puts an extended header before a member whose time has a fraction."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:", format=tar_format) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mtime = 1500000000.25 if fraction else 1500000000
            if name.endswith("/"):
                info.type = tarfile.DIRTYPE
            archive.addfile(info, io.BytesIO(content))
    # Two blocks mark the end; the rest of the record is padding.
    content = out.getvalue().rstrip(b"\0")
    return content.ljust((len(content) + 511) // 512 * 512, b"\0") + bytes(1024)


CONFIG = b"""name: tiny
target: nemo.collections.asr.models.EncDecCTCModel
optim: {_target_: torch.optim.AdamW, lr: 0.1}
nemo_version: 1.20.0
"""
WEIGHTS = b"\x80\x02ccollections\nOrderedDict\n)R."


def nemo():
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr(zipfile.ZipInfo("model_weights/data.pkl"), WEIGHTS)
        archive.writestr(zipfile.ZipInfo("model_weights/version"), b"3\n")
    members = [("./", b""), ("./model_config.yaml", CONFIG), ("./model_weights.ckpt", inner.getvalue())]
    write("nemo", "zip_weights.nemo", tar(members, tarfile.GNU_FORMAT, False))
    old = [("./model_config.yaml", CONFIG), ("./model_weights.ckpt", WEIGHTS)]
    write("nemo", "pickle_weights.nemo", tar(old, tarfile.USTAR_FORMAT, False))
    write("nemo", "executes.nemo", tar([("model_config.yaml", b'"_target_": os.system\nnemo_version: "1"\n')],
                                       tarfile.USTAR_FORMAT, False))


def pytorch_tar():
    def plain(value):
        return pickle.dumps(value, 2)

    def typed(name):
        return b"\x80\x02(K\x05X\x03\x00\x00\x00cpuctorch\n" + name + b"\nt."

    sys_info = plain({"protocol_version": 1000, "little_endian": True,
                      "type_sizes": {"short": 2, "int": 4, "long": 8}})
    tensors = plain(1) + typed(b"FloatTensor") + struct.pack("<iiqqqqq", 2, 0, 2, 3, 3, 1, 0)
    storages = plain(1) + typed(b"FloatStorage") + struct.pack("<q", 6) + bytes(24) + plain([])
    loads = b"\x80\x02ccollections\nOrderedDict\n)RX\x01\x00\x00\x00wX\x02\x00\x00\x0011Qs."
    members = [("sys_info", sys_info), ("pickle", loads), ("tensors", tensors), ("storages", storages)]
    write("pytorch_tar", "plain.tar", tar(members, tarfile.USTAR_FORMAT, False))
    runs = b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00id\x85R."
    write("pytorch_tar", "executes.tar", tar([members[0], ("pickle", runs), *members[2:]],
                                             tarfile.USTAR_FORMAT, False))
    short = [("sys_info", b"N."), ("pickle", b"N."), ("tensors", plain(0)), ("storages", plain(0) + plain([]))]
    out = tar([short[0]], tarfile.PAX_FORMAT)[:-1024] + tar(short[1:], tarfile.GNU_FORMAT, False)
    write("pytorch_tar", "extended.tar", out)


def pytorch_legacy():
    magic = pickle.dumps(0x1950A86A20F9469CFC6C, 2)
    head = magic + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2)
    write("pytorch_legacy", "empty.pth", head + b"\x80\x02}." + b"\x80\x02].")
    storage = b"(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x04NtQ"
    tensor = (b"\x80\x02}U\x01wctorch._utils\n_rebuild_tensor_v2\n(" + storage
              + b"K\x00K\x04\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtRs.")
    weights = struct.pack("<q4f", 4, 1, 2, 3, 4)
    write("pytorch_legacy", "tensor.pth", head + tensor + pickle.dumps(["0"], 2) + weights)
    net = b"\x80\x02(U\x06modulectorch.nn.modules.linear\nLinear\nU\x09linear.pyU\x04passtQ)\x81}b."
    write("pytorch_legacy", "module.pth", head + net + pickle.dumps([], 2))


if __name__ == "__main__":
    joblib()
    llamafile()
    nemo()
    pytorch_tar()
    pytorch_legacy()
