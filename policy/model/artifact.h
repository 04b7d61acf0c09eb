#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/base/result.h"
#include "policy/base/time.h"
#include "policy/model/digest.h"
#include "policy/model/named.h"
#include "policy/model/severity.h"

namespace weighmaster::model {

// What a file is by its content. The numbers are stored and sent; the names (kFormats) appear in
// policy, JSON and tables. Both are frozen once released.
enum class Format : std::uint16_t {
  kUnknown = 0,
  kGguf = 1,
  kSafetensors = 2,
  kPyTorchZip = 3,
  kPickle = 4,
  kOnnx = 5,
  kGgml = 6,
  kPyTorchLegacy = 7,
  kPyTorchTar = 8,
  kTorchScript = 9,
  kPyTorchExport = 10,
  kJoblib = 11,
  kNumpy = 12,
  kNumpyZip = 13,
  kOrt = 14,
  kTfSavedModel = 15,
  kTfGraph = 16,
  kTfCheckpoint = 17,
  kKeras = 18,
  kKerasHdf5 = 19,
  kTflite = 20,
  kLitertLm = 21,
  kExecutorch = 22,
  kCoreMl = 23,
  kCoreMlWeights = 24,
  kCoreMlCompiled = 25,
  kTensorRt = 26,
  kOpenVino = 27,
  kMnn = 28,
  kNcnn = 29,
  kRknn = 30,
  kPaddle = 31,
  kLlamafile = 32,
  kSkops = 33,
  kTorchServe = 34,
  kNemo = 35,
  kFlax = 36,
  kDduf = 37,
  kLightGbm = 38,
  kXgBoost = 39,
  kCatBoost = 40,
  kPmml = 41,
  kTorch7 = 42,
  kTfJs = 43,
};

// Every format and its name, what is none of them last. Fields of policies and the agent's readers
// are held against this list.
inline constexpr Named<Format> kFormats[] = {
    {Format::kGguf, "gguf"},
    {Format::kSafetensors, "safetensors"},
    {Format::kPyTorchZip, "pytorch_zip"},
    {Format::kPickle, "pickle"},
    {Format::kOnnx, "onnx"},
    {Format::kGgml, "ggml"},
    {Format::kPyTorchLegacy, "pytorch_legacy"},
    {Format::kPyTorchTar, "pytorch_tar"},
    {Format::kTorchScript, "torchscript"},
    {Format::kPyTorchExport, "pytorch_export"},
    {Format::kJoblib, "joblib"},
    {Format::kNumpy, "numpy"},
    {Format::kNumpyZip, "numpy_zip"},
    {Format::kOrt, "ort"},
    {Format::kTfSavedModel, "tf_saved_model"},
    {Format::kTfGraph, "tf_graph"},
    {Format::kTfCheckpoint, "tf_checkpoint"},
    {Format::kKeras, "keras"},
    {Format::kKerasHdf5, "keras_hdf5"},
    {Format::kTflite, "tflite"},
    {Format::kLitertLm, "litert_lm"},
    {Format::kExecutorch, "executorch"},
    {Format::kCoreMl, "coreml"},
    {Format::kCoreMlWeights, "coreml_weights"},
    {Format::kCoreMlCompiled, "coreml_compiled"},
    {Format::kTensorRt, "tensorrt"},
    {Format::kOpenVino, "openvino"},
    {Format::kMnn, "mnn"},
    {Format::kNcnn, "ncnn"},
    {Format::kRknn, "rknn"},
    {Format::kPaddle, "paddle"},
    {Format::kLlamafile, "llamafile"},
    {Format::kSkops, "skops"},
    {Format::kTorchServe, "torchserve"},
    {Format::kNemo, "nemo"},
    {Format::kFlax, "flax"},
    {Format::kDduf, "dduf"},
    {Format::kLightGbm, "lightgbm"},
    {Format::kXgBoost, "xgboost"},
    {Format::kCatBoost, "catboost"},
    {Format::kPmml, "pmml"},
    {Format::kTorch7, "torch7"},
    {Format::kTfJs, "tf_js"},
    {Format::kUnknown, "unknown"},
};
std::string_view FormatName(Format format);
base::Result<Format> ParseFormat(std::string_view name);

// Every id of a risk that this version's agent finds; agent/formats/reading/risks.cc says what each
// means and does not compile with another list. A newer agent may know more.
inline constexpr std::string_view kRiskIds[] = {
    "malformed",
    "opaque",
    "trailing_data",
    "unsupported_version",
    "chat_template_reaches_python",
    "pickle_format",
    "pickle_executes_code",
    "pickle_reaches_system",
    "pickle_unlisted_global",
    "pickle_hidden_import",
    "pickle_unknown_call",
    "pickle_frames_disagree",
    "embedded_pickle",
    "archive_path_escapes",
    "native_code_inside",
    "custom_operators",
    "external_data_escapes",
    "keras_lambda",
    "keras_foreign_module",
    "tf_executes_code",
    "tf_reaches_files",
    "config_names_code",
    "python_code_inside",
};

// One thing about a file's content that a person should know before loading it.
struct Risk {
  std::string id;  // stable, lower_snake_case: "pickle_executes_code", "malformed", "opaque"
  Severity severity = Severity::kInfo;
  std::string message;   // a sentence for people
  std::string evidence;  // offset, opcode, name: at most limits::kMaxEvidenceBytes of UTF-8
  friend bool operator==(const Risk&, const Risk&) = default;
};

// What a file says of itself, read without loading it. Texts are UTF-8, at most
// limits::kMaxFactBytes; empty means that the file does not say. Nothing here is verified.
struct Facts {
  Format format = Format::kUnknown;
  std::string name;
  std::string architecture;
  std::string license;       // as written: an SPDX id, a hub's id, or a text
  std::string quantization;  // "Q4_K_M", "BF16", …
  std::optional<std::uint64_t> parameters;
  std::optional<std::uint64_t> tensor_count;
  std::vector<Risk> risks;
  friend bool operator==(const Facts&, const Facts&) = default;
};

// Where the digest of a file stands. A digest is never given for bytes that were not read.
enum class DigestState : std::uint8_t {
  kPending = 1,   // not read yet
  kClaimed = 2,   // a name or a manifest says so; may deny, never approve
  kVerified = 3,  // every byte was read and the file did not change meanwhile
  kFailed = 4,    // could not be read whole; `detail` says why
};
std::string_view DigestStateName(DigestState state);  // "pending", "claimed", "verified", "failed"
base::Result<DigestState> ParseDigestState(std::string_view name);

struct ContentDigest {
  DigestState state = DigestState::kPending;
  std::optional<Sha256> sha256;               // set exactly when claimed or verified
  std::string detail;                         // claimed: by whom; failed: why
  std::optional<base::WallTime> verified_at;  // set exactly when verified
  friend bool operator==(const ContentDigest&, const ContentDigest&) = default;
};

}  // namespace weighmaster::model
