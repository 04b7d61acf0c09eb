#include "agent/formats/packages/zip.h"

#include <utility>

#include "agent/formats/packages/dduf.h"
#include "agent/formats/packages/keras.h"
#include "agent/formats/packages/numpy_zip.h"
#include "agent/formats/packages/pytorch.h"
#include "agent/formats/packages/pytorch_export.h"
#include "agent/formats/packages/skops.h"
#include "agent/formats/packages/torchserve.h"
#include "agent/formats/packages/zip_package.h"

namespace weighmaster::agent::formats {
namespace {

// Those that carry others first.
constexpr const ZipKind* kKinds[] = {&kTorchServe,   &kPyTorchExport, &kTorchScript, &kPyTorchZip,
                                     &kKerasPackage, &kSkops,         &kDduf,        &kNumpyZip};

}  // namespace

const ZipKind* KindOf(ZipPackage& package) {
  for (const ZipKind* const kind : kKinds) {
    if (kind->is(package)) return kind;
  }
  return nullptr;
}

model::Facts FactsOf(ZipPackage& package, TensorMapWriter& map) {
  const ZipKind* const kind = KindOf(package);
  package.Examine(kind != nullptr);
  model::Facts facts;
  if (kind != nullptr) {
    facts.format = kind->format;
    kind->tell(package, facts, map);
  } else if (!package.complete()) {
    // What was not looked at may well make it one.
    facts.format = model::Format::kPyTorchZip;
  } else if (package.holds_danger()) {
    facts.format = model::Format::kPickle;
  }
  return facts;
}

model::Facts ParseZip(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors) {
  ZipPackage package(source, budget, tensors.wanted());
  model::Facts facts = FactsOf(package, tensors);
  if (facts.format == model::Format::kUnknown) return facts;
  facts.risks = std::move(package.risks()).Take();
  return facts;
}

}  // namespace weighmaster::agent::formats
