#include "agent/formats/pickle/globals.h"

#include <algorithm>
#include <iterator>
#include <string>

namespace weighmaster::agent::formats {
namespace {

// A module and a name in it. An empty name stands for the whole module with everything below it.
struct Global {
  std::string_view module;
  std::string_view name;
};

constexpr std::string_view kBuiltinModules[] = {"builtins", "__builtin__", "__builtins__"};
constexpr std::string_view kExecutingBuiltins[] = {
    "eval",    "exec",   "execfile", "compile", "__import__", "getattr",   "setattr",
    "delattr", "apply",  "open",     "file",    "input",      "raw_input", "breakpoint",
    "globals", "locals", "vars",     "reload",  "help",       "exit",      "quit"};
constexpr std::string_view kSafeBuiltins[] = {
    "set",   "frozenset", "dict",   "list",    "tuple",    "int",           "long",
    "float", "complex",   "str",    "unicode", "bytes",    "bool",          "slice",
    "range", "bytearray", "object", "xrange",  "Ellipsis", "NotImplemented"};

// Modules and functions that run what they are given, or hand out those that do.
constexpr Global kExecuting[] = {
    {"os", ""},
    {"posix", ""},
    {"nt", ""},
    {"posixpath", ""},
    {"ntpath", ""},
    {"subprocess", ""},
    {"_posixsubprocess", ""},
    {"_winapi", ""},
    {"commands", ""},
    {"pty", ""},
    {"popen2", ""},
    {"runpy", ""},
    {"sys", ""},
    {"code", ""},
    {"codeop", ""},
    {"types", "CodeType"},
    {"types", "FunctionType"},
    {"types", "LambdaType"},
    {"types", "MethodType"},
    {"new", ""},
    {"marshal", ""},
    {"importlib", ""},
    {"imp", ""},
    {"_imp", ""},
    {"_frozen_importlib", ""},
    {"_frozen_importlib_external", ""},
    {"zipimport", ""},
    {"pkgutil", ""},
    {"pickle", ""},
    {"_pickle", ""},
    {"cPickle", ""},
    {"dill", ""},
    {"cloudpickle", ""},
    {"joblib", "load"},
    {"joblib.numpy_pickle", "load"},
    {"shelve", ""},
    {"ctypes", ""},
    {"_ctypes", ""},
    {"cffi", ""},
    {"_cffi_backend", ""},
    {"pip", ""},
    {"ensurepip", ""},
    {"venv", ""},
    {"setuptools", ""},
    {"multiprocessing", ""},
    {"_multiprocessing", ""},
    {"_interpreters", ""},
    {"_xxsubinterpreters", ""},
    {"pdb", ""},
    {"bdb", ""},
    {"profile", ""},
    {"cProfile", ""},
    {"timeit", ""},
    {"trace", ""},
    {"doctest", ""},
    {"unittest", ""},
    {"test", ""},
    {"idlelib", ""},
    {"lib2to3", ""},
    {"pydoc", ""},
    {"_pyrepl", ""},
    {"uuid", ""},
    {"_osx_support", ""},
    {"_aix_support", ""},
    {"platform", ""},
    {"imaplib", ""},
    {"asyncio", ""},
    {"pexpect", ""},
    {"pipes", ""},
    {"distutils", ""},
    {"numpy.distutils", ""},
    {"numpy.f2py", ""},
    {"numpy.testing", ""},
    {"operator", "attrgetter"},
    {"operator", "itemgetter"},
    {"operator", "methodcaller"},
    {"operator", "getitem"},
    {"_operator", "attrgetter"},
    {"_operator", "itemgetter"},
    {"_operator", "methodcaller"},
    {"_operator", "getitem"},
    {"functools", "partial"},
    {"functools", "reduce"},
    {"functools", "partialmethod"},
    {"_functools", ""},
    {"inspect", ""},
    {"gc", ""},
    {"site", ""},
    {"sched", ""},
    {"weakref", "finalize"},
    {"contextlib", "ExitStack"},
    {"rlcompleter", ""},
    {"torch", "load"},
    {"torch", "compile"},
    {"torch.serialization", "load"},
    {"torch.hub", ""},
    {"torch.jit", ""},
    {"torch._dynamo", ""},
    {"torch._inductor", ""},
    {"torch.fx", ""},
    {"torch.package", ""},
    {"torch.utils.cpp_extension", ""},
    {"torch._C", "_jit_compile"},
    {"torch.utils._config_module", ""},
    {"torch.utils.bottleneck", ""},
    {"torch.utils.collect_env", ""},
    {"torch.utils.data.datapipes.utils.decoder", ""},
    {"torch.distributed.rpc", ""},
    {"torch.ops", ""},
    {"torch._ops", ""},
    {"numpy", "load"},
    {"numpy.lib.npyio", "load"},
    {"pandas", "read_pickle"},
    {"pandas", "eval"},
    {"pandas.io.pickle", ""},
    {"pandas.core.computation", ""},
    // Scanners: importing one from a model serves to blind it.
    {"fickling", ""},
    {"picklescan", ""},
    {"modelscan", ""},
    {"modelaudit", ""},
    {"saferpickle", ""},
};

// Files, network, processes and threads.
constexpr Global kReaching[] = {
    {"shutil", ""},      {"tempfile", ""},      {"fileinput", ""},    {"glob", ""},
    {"filecmp", ""},     {"linecache", ""},     {"difflib", ""},      {"mmap", ""},
    {"sqlite3", ""},     {"_sqlite3", ""},      {"tarfile", ""},      {"zipfile", ""},
    {"logging", ""},     {"syslog", ""},        {"io", "FileIO"},     {"io", "open"},
    {"io", "open_code"}, {"_io", "FileIO"},     {"_io", "open"},      {"_io", "open_code"},
    {"pathlib", ""},     {"py_compile", ""},    {"compileall", ""},   {"socket", ""},
    {"_socket", ""},     {"ssl", ""},           {"socketserver", ""}, {"SocketServer", ""},
    {"select", ""},      {"selectors", ""},     {"http", ""},         {"httplib", ""},
    {"urllib", ""},      {"urllib2", ""},       {"urllib3", ""},      {"requests", ""},
    {"httpx", ""},       {"aiohttp", ""},       {"ftplib", ""},       {"smtplib", ""},
    {"poplib", ""},      {"nntplib", ""},       {"telnetlib", ""},    {"xmlrpc", ""},
    {"webbrowser", ""},  {"signal", ""},        {"_signal", ""},      {"threading", ""},
    {"_thread", ""},     {"thread", ""},        {"concurrent", ""},   {"atexit", ""},
    {"antigravity", ""}, {"numpy", "fromfile"}, {"numpy", "memmap"},  {"codecs", "open"},
};

// What checkpoints are made of. Exact names only.
constexpr Global kSafe[] = {
    {"collections", "OrderedDict"},
    {"collections", "defaultdict"},
    {"collections", "Counter"},
    {"collections", "deque"},
    {"_codecs", "encode"},
    {"copyreg", "_reconstructor"},
    {"copy_reg", "_reconstructor"},
    {"copyreg", "__newobj__"},
    {"argparse", "Namespace"},
    {"_io", "BytesIO"},
    {"io", "BytesIO"},
    {"datetime", "datetime"},
    {"datetime", "timedelta"},
    {"datetime", "date"},
    {"decimal", "Decimal"},
    {"fractions", "Fraction"},
    {"torch", "Tensor"},
    {"torch", "Size"},
    {"torch", "device"},
    {"torch", "dtype"},
    {"torch", "float16"},
    {"torch", "float32"},
    {"torch", "float64"},
    {"torch", "bfloat16"},
    {"torch", "half"},
    {"torch", "float"},
    {"torch", "double"},
    {"torch", "int8"},
    {"torch", "int16"},
    {"torch", "int32"},
    {"torch", "int64"},
    {"torch", "uint8"},
    {"torch", "uint16"},
    {"torch", "uint32"},
    {"torch", "uint64"},
    {"torch", "bool"},
    {"torch", "complex64"},
    {"torch", "complex128"},
    {"torch", "float8_e4m3fn"},
    {"torch", "float8_e5m2"},
    {"torch", "qint8"},
    {"torch", "quint8"},
    {"torch", "qint32"},
    {"torch", "strided"},
    {"torch", "contiguous_format"},
    {"torch", "per_tensor_affine"},
    {"torch", "per_channel_affine"},
    {"torch.storage", "UntypedStorage"},
    {"torch.storage", "TypedStorage"},
    {"torch.storage", "_UntypedStorage"},
    {"torch.storage", "_TypedStorage"},
    {"torch._utils", "_rebuild_tensor"},
    {"torch._utils", "_rebuild_tensor_v2"},
    {"torch._utils", "_rebuild_tensor_v3"},
    {"torch._utils", "_rebuild_parameter"},
    {"torch._utils", "_rebuild_parameter_with_state"},
    {"torch._utils", "_rebuild_qtensor"},
    {"torch._utils", "_rebuild_sparse_tensor"},
    {"torch._utils", "_rebuild_meta_tensor_no_storage"},
    {"torch._utils", "_rebuild_wrapper_subclass"},
    {"torch._utils", "_rebuild_device_tensor_from_numpy"},
    {"torch._tensor", "_rebuild_from_type_v2"},
    {"torch.serialization", "_get_layout"},
    {"torch.nn.parameter", "Parameter"},
    {"torch.nn.parameter", "Buffer"},
    {"numpy", "dtype"},
    {"numpy", "ndarray"},
    {"numpy.core.multiarray", "_reconstruct"},
    {"numpy.core.multiarray", "scalar"},
    {"numpy._core.multiarray", "_reconstruct"},
    {"numpy._core.multiarray", "scalar"},
    {"numpy.core.numeric", "_frombuffer"},
    {"numpy._core.numeric", "_frombuffer"},
    {"numpy.matrixlib.defmatrix", "matrix"},
    {"numpy.random._pickle", "__randomstate_ctor"},
    {"numpy.random._pickle", "__generator_ctor"},
    {"numpy.random._pickle", "__bit_generator_ctor"},
    {"joblib.numpy_pickle", "NumpyArrayWrapper"},
    {"joblib.numpy_pickle", "NDArrayWrapper"},
    {"joblib.numpy_pickle", "ZNDArrayWrapper"},
    {"joblib.numpy_pickle_compat", "NDArrayWrapper"},
    {"joblib.numpy_pickle_compat", "ZNDArrayWrapper"},
    {"sklearn.tree._tree", "Tree"},
};

// Modules of which the classes (a name that begins with a capital) are what models are made of.
constexpr std::string_view kModelModules[] = {"torch.nn.modules", "torch.optim", "sklearn",
                                              "scipy.sparse",     "xgboost",     "lightgbm"};

// Names through which any object leads to everything else.
constexpr std::string_view kReachingAttributes[] = {
    "__globals__", "__builtins__",  "__class__",  "__subclasses__",
    "__import__",  "__mro__",       "__base__",   "__bases__",
    "__dict__",    "__code__",      "__call__",   "__getattribute__",
    "__reduce__",  "__reduce_ex__", "__loader__", "__spec__"};

template <typename Range>
bool Holds(const Range& range, std::string_view text) {
  return std::find(std::begin(range), std::end(range), text) != std::end(range);
}

bool IsBelow(std::string_view module, std::string_view parent) {
  return module.substr(0, parent.size()) == parent &&
         (module.size() == parent.size() || module[parent.size()] == '.');
}

template <std::size_t kCount>
bool Matches(const Global (&table)[kCount], std::string_view module, std::string_view name) {
  return std::any_of(std::begin(table), std::end(table), [&](const Global& global) {
    return global.name.empty() ? IsBelow(module, global.module)
                               : module == global.module && name == global.name;
  });
}

bool IsSafeTorchType(std::string_view module, std::string_view name) {
  const auto ends_in = [&](std::string_view end) {
    return name.size() > end.size() && name.substr(name.size() - end.size()) == end;
  };
  const bool torch = module == "torch" || module == "torch.cuda";
  return torch && (ends_in("Storage") || ends_in("Tensor"));
}

bool IsSafeNumpyScalar(std::string_view module, std::string_view name) {
  constexpr std::string_view kScalars[] = {
      "bool_",  "int8",    "int16",   "int32",   "int64",     "uint8",      "uint16", "uint32",
      "uint64", "float16", "float32", "float64", "complex64", "complex128", "str_",   "bytes_"};
  const bool dtype_class = IsBelow(module, "numpy.dtypes") && name.find("DType") != name.npos;
  return dtype_class || (module == "numpy" && Holds(kScalars, name));
}

bool IsSafe(std::string_view module, std::string_view name) {
  if (name.empty() || name.find('.') != std::string_view::npos) return false;
  if (Holds(kBuiltinModules, module)) return Holds(kSafeBuiltins, name);
  if (Matches(kSafe, module, name)) return true;
  if (IsSafeTorchType(module, name) || IsSafeNumpyScalar(module, name)) return true;
  const bool is_class = name.front() >= 'A' && name.front() <= 'Z';
  return is_class && std::any_of(std::begin(kModelModules), std::end(kModelModules),
                                 [&](std::string_view parent) { return IsBelow(module, parent); });
}

// One reading of where a dotted name divides into module and name.
GlobalGrade GradeDivided(std::string_view module, std::string_view name) {
  const std::string_view first = name.substr(0, name.find('.'));
  if (Holds(kBuiltinModules, module) && Holds(kExecutingBuiltins, first)) {
    return GlobalGrade::kExecutes;
  }
  if (Matches(kExecuting, module, first)) return GlobalGrade::kExecutes;
  return Matches(kReaching, module, first) ? GlobalGrade::kReaches : GlobalGrade::kUnlisted;
}

}  // namespace

GlobalGrade GradeGlobal(std::string_view module, std::string_view name) {
  if (IsSafe(module, name)) return GlobalGrade::kSafe;
  GlobalGrade worst = GradeDivided(module, name);
  // Every part of a dotted name may be a module of its own ("pathlib", "os.system"), and so may
  // "module.part" ("torch", "serialization.load").
  std::string joined(module);
  std::string_view rest = name;
  while (true) {
    const std::size_t dot = rest.find('.');
    const std::string_view part = rest.substr(0, dot);
    if (Holds(kReachingAttributes, part)) return GlobalGrade::kExecutes;
    if (dot == std::string_view::npos) return worst;
    rest.remove_prefix(dot + 1);
    joined += '.';
    joined += part;
    worst = std::max({worst, GradeDivided(joined, rest), GradeDivided(part, rest)});
  }
}

}  // namespace weighmaster::agent::formats
