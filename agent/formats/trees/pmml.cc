#include "agent/formats/trees/pmml.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "agent/formats/grammars/xml_reader.h"
#include "agent/formats/reading/risks.h"

namespace weighmaster::agent::formats {
namespace {

constexpr std::string_view kRoot = "PMML";
// What is known of every file before it is followed.
constexpr std::size_t kHeadBytes = 4'096;
constexpr char kNewestVersion = '4';
// Of which the last tag is looked for; comments may follow it.
constexpr std::size_t kMaxBehindRootBytes = 16 * base::limits::kKiB;

// MODEL-ELEMENT of the schema, of all versions.
constexpr std::string_view kModels[] = {
    "AnomalyDetectionModel",
    "AssociationModel",
    "BaselineModel",
    "BayesianNetworkModel",
    "ClusteringModel",
    "GaussianProcessModel",
    "GeneralRegressionModel",
    "MiningModel",
    "NaiveBayesModel",
    "NearestNeighborModel",
    "NeuralNetwork",
    "RegressionModel",
    "RuleSetModel",
    "Scorecard",
    "SequenceModel",
    "SupportVectorMachineModel",
    "TextModel",
    "TimeSeriesModel",
    "TreeModel",
};

class PmmlReader {
 public:
  PmmlReader(ByteSource& source, WorkBudget& budget) : cursor_(source, budget), xml_(cursor_) {}

  model::Facts Read() &&;

 private:
  bool ReadRoot();
  // False at the first model, where the reading ends.
  bool ReadElement();
  void CheckEnd();
  void Broken(std::string_view what, std::uint64_t offset);

  Cursor cursor_;
  XmlReader xml_;
  model::Facts facts_;
  RiskList risks_;
};

model::Facts PmmlReader::Read() && {
  if (!ReadRoot()) return {};
  facts_.format = model::Format::kPmml;
  bool goes_on = true;
  while (goes_on) {
    const XmlToken token = xml_.Next();
    if (token == XmlToken::kElement) goes_on = ReadElement();
    if (token == XmlToken::kEnd) break;
    if (token != XmlToken::kBroken) continue;
    Broken("XML that is broken", xml_.offset());
    break;
  }
  if (!goes_on) CheckEnd();
  if (cursor_.budget().spent()) risks_.AddSpent(xml_.offset());
  facts_.risks = std::move(risks_).Take();
  return std::move(facts_);
}

void PmmlReader::Broken(std::string_view what, std::uint64_t offset) {
  if (cursor_.budget().spent()) return;
  risks_.Add(RiskId::kMalformed, std::string(what) + " at " + AtOffset(offset));
}

bool PmmlReader::ReadRoot() {
  if (xml_.Next() != XmlToken::kElement || xml_.name() != kRoot) return false;
  const std::string_view version = xml_.Attribute("version");
  if (version.empty()) return false;
  const std::string_view major = version.substr(0, version.find('.'));
  if (major.size() != 1 || major[0] > kNewestVersion) {
    risks_.Add(RiskId::kUnsupportedVersion, "PMML version " + std::string(version));
  }
  return true;
}

bool PmmlReader::ReadElement() {
  const bool model =
      std::find(std::begin(kModels), std::end(kModels), xml_.name()) != std::end(kModels);
  if (xml_.depth() != 2 || !model) return true;
  facts_.architecture = xml_.name();
  facts_.name = CleanText(xml_.Attribute("modelName"));
  return false;
}

void PmmlReader::CheckEnd() {
  const std::uint64_t size = cursor_.end();
  cursor_.Seek(size - std::min<std::uint64_t>(size, kMaxBehindRootBytes));
  std::string_view end = base::AsText(cursor_.Peek(kMaxBehindRootBytes));
  while (true) {
    const std::size_t at = end.rfind("</");
    if (at == std::string_view::npos) break;
    std::string_view name = end.substr(at + 2);
    name = name.substr(0, name.find_first_of(" \t\r\n>"));
    const std::size_t colon = name.find(':');
    if (colon != std::string_view::npos) name.remove_prefix(colon + 1);
    if (name == kRoot) return;
    end = end.substr(0, at);
  }
  Broken("a document that is not closed", size);
}

}  // namespace

bool LooksLikePmml(const FileEnds& file) {
  const auto root = FirstXmlTag(base::AsText(file.head).substr(0, kHeadBytes));
  return root.has_value() && root->name == kRoot &&
         XmlAttribute(root->attributes, "version").value_or("").size() > 0;
}

model::Facts ParsePmml(ByteSource& source, WorkBudget& budget, TensorMapWriter& /*tensors*/) {
  return PmmlReader(source, budget).Read();
}

}  // namespace weighmaster::agent::formats
