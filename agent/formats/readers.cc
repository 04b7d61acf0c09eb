#include "agent/formats/readers.h"

#include "agent/formats/archive/zip.h"
#include "agent/formats/arrays/joblib.h"
#include "agent/formats/arrays/numpy.h"
#include "agent/formats/coreml/coreml.h"
#include "agent/formats/coreml/coreml_compiled.h"
#include "agent/formats/coreml/coreml_weights.h"
#include "agent/formats/graphs/executorch.h"
#include "agent/formats/graphs/litert_lm.h"
#include "agent/formats/graphs/mnn.h"
#include "agent/formats/graphs/onnx.h"
#include "agent/formats/graphs/ort.h"
#include "agent/formats/graphs/paddle.h"
#include "agent/formats/graphs/tflite.h"
#include "agent/formats/keras/keras_hdf5.h"
#include "agent/formats/packages/llamafile.h"
#include "agent/formats/packages/zip.h"
#include "agent/formats/pickle/opcodes.h"
#include "agent/formats/pickle/pickle.h"
#include "agent/formats/runtimes/ncnn.h"
#include "agent/formats/runtimes/openvino.h"
#include "agent/formats/runtimes/rknn.h"
#include "agent/formats/runtimes/tensorrt.h"
#include "agent/formats/tars/nemo.h"
#include "agent/formats/tars/pytorch_tar.h"
#include "agent/formats/tars/tar_package.h"
#include "agent/formats/tensorflow/tf_checkpoint.h"
#include "agent/formats/tensorflow/tf_graph.h"
#include "agent/formats/tensorflow/tf_js.h"
#include "agent/formats/tensorflow/tf_saved_model.h"
#include "agent/formats/trees/catboost.h"
#include "agent/formats/trees/lightgbm.h"
#include "agent/formats/trees/pmml.h"
#include "agent/formats/trees/xgboost.h"
#include "agent/formats/weights/flax.h"
#include "agent/formats/weights/ggml.h"
#include "agent/formats/weights/gguf.h"
#include "agent/formats/weights/safetensors.h"
#include "agent/formats/weights/torch7.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;

bool LooksLikePickleFile(const FileEnds& file) { return LooksLikePickle(file.head, file.size); }

// Those with a mark of their own first, those that have to be guessed from their grammar last, the
// surest of them first.
constexpr Reader kReaders[] = {
    {Format::kGguf, LooksLikeGguf, ParseGguf},
    {Format::kGgml, LooksLikeGgml, ParseGgml},
    {Format::kSafetensors, LooksLikeSafetensors, ParseSafetensors},
    {Format::kPyTorchZip, LooksLikeZip, ParseZip},
    {Format::kTflite, LooksLikeTflite, ParseTflite},
    {Format::kOrt, LooksLikeOrt, ParseOrt},
    {Format::kExecutorch, LooksLikeExecutorch, ParseExecutorch},
    {Format::kLitertLm, LooksLikeLitertLm, ParseLitertLm},
    {Format::kNumpy, LooksLikeNumpy, ParseNumpy},
    {Format::kKerasHdf5, LooksLikeKerasHdf5, ParseKerasHdf5},
    {Format::kTensorRt, LooksLikeTensorRt, ParseTensorRt},
    {Format::kRknn, LooksLikeRknn, ParseRknn},
    {Format::kNcnn, LooksLikeNcnn, ParseNcnn},
    {Format::kCatBoost, LooksLikeCatBoost, ParseCatBoost},
    {Format::kCoreMlWeights, LooksLikeCoreMlWeights, ParseCoreMlWeights},
    {Format::kCoreMlCompiled, LooksLikeCoreMlCompiled, ParseCoreMlCompiled},
    {Format::kOpenVino, LooksLikeOpenVino, ParseOpenVino},
    {Format::kPmml, LooksLikePmml, ParsePmml},
    {Format::kLightGbm, LooksLikeLightGbm, ParseLightGbm},
    {Format::kXgBoost, LooksLikeXgBoost, ParseXgBoost},
    {Format::kTfJs, LooksLikeTfJs, ParseTfJs},
    {Format::kTfCheckpoint, LooksLikeTfCheckpoint, ParseTfCheckpoint},
    {Format::kPyTorchLegacy, LooksLikePyTorchLegacy, ParsePickle},
    {Format::kJoblib, LooksLikeJoblib, ParseJoblib},
    {Format::kPyTorchTar, LooksLikePyTorchTar, ParseTar},
    {Format::kNemo, LooksLikeNemo, ParseTar},
    {Format::kLlamafile, LooksLikeLlamafile, ParseLlamafile},
    {Format::kTorch7, LooksLikeTorch7, ParseTorch7},
    {Format::kFlax, LooksLikeFlax, ParseFlax},
    {Format::kPickle, LooksLikePickleFile, ParsePickle},
    {Format::kTfSavedModel, LooksLikeTfSavedModel, ParseTfSavedModel},
    {Format::kCoreMl, LooksLikeCoreMl, ParseCoreMl},
    {Format::kPaddle, LooksLikePaddle, ParsePaddle},
    {Format::kTfGraph, LooksLikeTfGraph, ParseTfGraph},
    {Format::kOnnx, LooksLikeOnnx, ParseOnnx},
    {Format::kMnn, LooksLikeMnn, ParseMnn},
};

}  // namespace

std::span<const Reader> Readers() { return kReaders; }

}  // namespace weighmaster::agent::formats
